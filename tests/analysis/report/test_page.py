"""The page in a real browser: it opens, sorts, filters, prints, and its console stays empty."""

import base64
import io
import re
import shutil
import unicodedata

import numpy as np
import pytest

from clipit_eva.analysis.report import Options, write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="Chromium and its driver are not installed"
    ),
]

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
    "--disable-sync", "--disable-domain-reliability", "--no-first-run", "--no-pings",
    "--metrics-recording-only",
)  # fmt: skip

ATTACK = "</script><script>document.title='broken'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(shared_study, tmp_path_factory):
    return write_report(shared_study, tmp_path_factory.mktemp("report"), Options(n_resamples=1000))


@pytest.fixture(scope="module")
def full_report(full_study, tmp_path_factory):
    """The report of a study of one dataset with all four contrasts."""
    return write_report(full_study, tmp_path_factory.mktemp("report"), Options(n_resamples=1000))


@pytest.fixture
def page(browser, report):
    browser.set_window_size(1200, 900)
    browser.get(report.as_uri())
    yield browser
    assert browser.get_log("browser") == []


@pytest.fixture
def full_page(browser, full_report):
    """Opens the page of `full_report` in a viewport of a given size."""

    def view(width, height):
        size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(full_report.as_uri())
        return browser

    yield view
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert browser.get_log("browser") == []


def unfold(driver, name="*"):
    """Opens folds: of an id, or all."""
    selector = "details" if name == "*" else f"details#{name}"
    driver.execute_script(
        "for (const fold of document.querySelectorAll(arguments[0])) fold.open = true;", selector
    )


def css(driver, selector):
    return driver.find_elements("css selector", selector)


def column(driver, table, place):
    comparisons = css(driver, f"#{table} tbody tr:not([hidden]) td:nth-child({place})")
    return [comparison.get_attribute("textContent") for comparison in comparisons]


def choose(driver, name, value):
    driver.execute_script(
        "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
        "field.dispatchEvent(new Event('input'));",
        name,
        value,
    )


def test_it_opens_with_verdict_tables_figures_and_methods(page):
    assert page.title == css(page, "h1")[0].text == "CLIP-IT against unimodal"
    assert "method: CLIP-IT - unimodal" in css(page, "#verdict")[0].text
    assert len(css(page, "table.sortable")) == 12
    assert not css(page, "details[open]")
    unfold(page)
    for image in css(page, "figure img"):
        assert page.execute_script("return arguments[0].naturalWidth", image) > 100
        assert image.get_attribute("alt")
    assert "crossed random effects" in css(page, "#methods-text")[0].text
    assert css(page, "#warnings li")


def test_a_numeric_column_sorts_by_number_both_ways(page):
    unfold(page, "runs")
    heads = css(page, "#table-runs th button")
    place = [head.text for head in heads].index("balanced accuracy %") + 1
    head = heads[place - 1]
    before = column(page, "table-runs", place)
    head.click()
    down = [float(value) for value in column(page, "table-runs", place)]
    assert down == sorted(map(float, before), reverse=True)
    head.click()
    assert [float(v) for v in column(page, "table-runs", place)] == down[::-1]
    assert head.find_element("xpath", "..").get_attribute("aria-sort") == "ascending"


def test_text_sorts_and_rows_stay_whole(page):
    rows = {row.get_attribute("textContent") for row in css(page, "#table-ablations tbody tr")}
    css(page, "#table-ablations th button")[0].click()
    assert column(page, "table-ablations", 1) == ["BACH", "CRC"]
    css(page, "#table-ablations th button")[0].click()
    assert column(page, "table-ablations", 1) == ["CRC", "BACH"]
    assert {
        row.get_attribute("textContent") for row in css(page, "#table-ablations tbody tr")
    } == rows


def test_rows_filter_by_words(page):
    unfold(page, "runs")
    field = css(page, '[data-filters="table-runs"]')[0]
    assert len(column(page, "table-runs", 1)) == 24
    field.send_keys("crc same layers")
    assert column(page, "table-runs", 1) == ["CRC"] * 3
    assert set(column(page, "table-runs", 3)) == {"no text (same layers)"}


def test_samples_filter_sort_and_page(page):
    unfold(page, "samples")

    def count():
        return int(re.search(r"of (\d+) samples", css(page, "#sample-count")[0].text)[1])

    everything = count()
    assert everything > 50
    assert len(column(page, "sample-table", 1)) == 50
    css(page, "#sample-next")[0].click()
    assert css(page, "#sample-count")[0].text.startswith("51 to")
    choose(page, "sample-kind", "lost")
    lost = count()
    assert 0 < lost < everything
    assert set(column(page, "sample-table", 2)) == {"lost"}
    assert all(int(net) < 0 for net in column(page, "sample-table", 8))
    choose(page, "sample-kind", "")
    choose(page, "sample-class", "b")
    choose(page, "sample-net", "2")
    assert set(column(page, "sample-table", 4)) == {"b"}
    assert all(abs(int(net)) >= 2 for net in column(page, "sample-table", 8))
    choose(page, "sample-file", "no such file")
    assert css(page, "#sample-count")[0].text == "no sample"
    choose(page, "sample-file", "")
    (head,) = (b for b in css(page, "#sample-table button") if b.text == "p(true) baseline")
    head.click()
    values = [float(value) for value in column(page, "sample-table", 9)]
    assert values == sorted(values)


SIZES = [(1280, 800), (390, 844)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_verdict_is_above_the_fold(full_page, width, height):
    page = full_page(width, height)
    (verdict,) = css(page, "#verdict")
    assert "BACH: reports helped" in verdict.text
    assert len(css(page, "#verdict dt")) == 4
    assert "5 seeds, 200 test images, slides unknown, 2 backbones" in verdict.text
    bottom = page.execute_script("return arguments[0].getBoundingClientRect().bottom", verdict)
    assert bottom <= height


def test_one_dataset_takes_at_most_three_screens_before_the_folds(full_page):
    page = full_page(1280, 800)
    (folds,) = css(page, "#folds")
    assert page.execute_script("return arguments[0].getBoundingClientRect().top", folds) <= 3 * 800
    shown = [element.get_attribute("id") for element in css(page, ".beside section")]
    assert shown == ["forest", "next", "warnings", "headline", "ablations", "complementarity",
                     "fig3", "calibration", "metrics"]  # fmt: skip


SIDEWAYS = """
const inTable = (element) => element.closest(".scroll") !== null;
return Array.from(document.querySelectorAll("body, body *")).filter((element) => {
  const style = getComputedStyle(element);
  const scrolls = element.scrollWidth > element.clientWidth + 1 && style.overflowX !== "visible";
  const sticksOut = element.getBoundingClientRect().right > innerWidth + 1;
  const holdsTable = element.matches(".scroll") && element.querySelector("table");
  return (scrolls && !holdsTable) || (sticksOut && !inTable(element));
}).map((element) => element.outerHTML.slice(0, 100));
"""


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_scrolls_sideways_but_tables(full_page, width, height):
    page = full_page(width, height)
    unfold(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.execute_script(SIDEWAYS) == []


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_figures_have_one_scale(full_page, width, height):
    page = full_page(width, height)
    unfold(page)
    scales = page.execute_script(
        "return Array.from(document.querySelectorAll('figure img'), "
        "(image) => image.clientWidth / image.naturalWidth)"
    )
    assert len(scales) == 6
    assert scales == pytest.approx([scales[0]] * len(scales), rel=0.01)


def test_published_numbers_are_shown_on_demand(full_page):
    page = full_page(1280, 800)

    def shown():
        return [head.text for head in css(page, "#table-table1 th") if head.is_displayed()]

    assert shown() == ["Backbone", "Method", "BACH"]
    css(page, "#show-published")[0].click()
    assert shown() == ["Backbone", "Method", "BACH", "BACH (published)"]


PAPER = (7.5 * 96, 10 * 96)
"""What of a sheet of 8.5 x 11 inches lies inside margins of half an inch, in CSS pixels."""

CUT = """
const page = document.documentElement.clientWidth;
return Array.from(document.querySelectorAll("table, td, th"))
  .filter((element) => element.offsetParent !== null)
  .filter((element) => element.getBoundingClientRect().right > page + 1
    || (element.matches("td, th") && element.scrollWidth > element.clientWidth + 1))
  .map((element) => element.outerHTML.slice(0, 100));
"""


def test_on_paper_all_is_open_and_no_table_is_cut(full_page):
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    page = full_page(*map(int, PAPER))
    margins = dict.fromkeys(("marginTop", "marginBottom", "marginLeft", "marginRight"), 0.5)
    printed = page.execute_cdp_cmd("Page.printToPDF", {**margins, "preferCSSPageSize": False})
    assert not css(page, "details[open]")  # as they were before
    unfold(page)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.execute_script(CUT) == []
    sheets = pypdf.PdfReader(io.BytesIO(base64.b64decode(printed["data"]))).pages
    # On paper "ff" may be one letter.
    text = unicodedata.normalize("NFKC", "".join(sheet.extract_text() for sheet in sheets))
    text = "".join(text.split())
    cells = page.execute_script(
        "return Array.from(document.querySelectorAll('table td'))"
        ".filter((cell) => cell.offsetParent !== null).map((cell) => cell.innerText)"
    )
    assert len(cells) > 300
    missing = {cell for cell in cells if "".join(cell.split()) not in text}
    assert missing == set()


def test_names_in_the_data_are_shown_and_never_run(browser, write_run, drawn, tmp_path):
    targets = np.arange(40) % 4
    names = [f"{ATTACK}{place}.png" for place in range(40)]
    classes = {"datasets": [{"class": f"eva.{ATTACK}", "classes": [ATTACK, "b", "c", "d"]}]}
    for seed in (1, 2, 3):
        for method, accuracy in (("unimodal", 0.5), ("clip_it", 0.9)):
            predictions = drawn(targets, accuracy, seed + len(method))
            write_run(
                method, targets, predictions, seed=seed, filenames=names, provenance=classes,
                backbone=f"{ATTACK}&amp;", name=f"{method}{seed}",
            )  # fmt: skip
    path = write_report(write_run.folder, tmp_path / "report", Options(n_resamples=1000))
    browser.get(path.as_uri())
    assert browser.title == "CLIP-IT against unimodal"
    assert any(ATTACK in name for name in column(browser, "sample-table", 3))
    assert f"{ATTACK}&amp;" in column(browser, "table-runs", 2)[0]
    assert browser.get_log("browser") == []
