"use strict";
(() => {
  const PAGE = 50;

  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), undefined, { numeric: true });
  };

  // Marks the sorted column and returns 1 for ascending, -1 for descending.
  const turn = (button, first) => {
    const head = button.closest("th");
    const was = head.getAttribute("aria-sort");
    for (const other of head.parentElement.children) {
      if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    }
    const opposite = { ascending: "descending", descending: "ascending" };
    const now = opposite[was] || first;
    head.setAttribute("aria-sort", now);
    return now === "ascending" ? 1 : -1;
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("th button").forEach((button, column) => {
      button.addEventListener("click", () => {
        const numeric = button.dataset.numeric === "true";
        const sign = turn(button, numeric ? "descending" : "ascending");
        const value = (row) => {
          const cell = row.cells[column];
          if (!numeric) return cell.textContent;
          return cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
        };
        const body = table.tBodies[0];
        const rows = Array.from(body.rows, (row) => [value(row), row]);
        rows.sort(([one], [other]) => {
          // What has no number stays at the end, whichever way.
          if (one === null || other === null) return (one === null) - (other === null);
          return sign * compare(one, other);
        });
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  for (const input of document.querySelectorAll("input[data-filters]")) {
    const body = document.getElementById(input.dataset.filters).tBodies[0];
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
  }

  const published = document.getElementById("show-published");
  const marked = Array.from(document.querySelectorAll("td.published"));
  // A toggle that would show only dashes is none.
  published.closest("p").hidden = marked.every((cell) => cell.textContent === "-");
  const show = () => document.body.classList.toggle("with-published", published.checked);
  published.addEventListener("input", show);
  show(); // a browser that goes back keeps the tick

  // On paper everything is open; afterwards what was.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    for (const fold of opened) fold.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });

  const copy = document.getElementById("copy-methods");
  copy.addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents(document.getElementById("methods-text"));
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    // A page opened as a file may have no clipboard: the text stays selected.
    if (navigator.clipboard) {
      navigator.clipboard.writeText(range.toString()).then(
        () => { copy.textContent = "Copied"; },
        () => { copy.textContent = "Selected: copy it by keyboard"; },
      );
    }
  });

  const source = document.getElementById("sample-data");
  if (source) browse(JSON.parse(source.textContent));

  function browse({ comparisons, rows }) {
    const element = (name) => document.getElementById(`sample-${name}`);
    const body = element("table").tBodies[0];
    let page = 0;
    let order = null;

    const option = (select, value, text) => {
      const item = document.createElement("option");
      item.value = value;
      item.textContent = text;
      select.append(item);
    };
    comparisons.forEach((name, place) => option(element("comparison"), String(place), name));
    for (const name of [...new Set(rows.map((row) => row.target))].sort(compare)) {
      option(element("class"), name, name);
    }

    const add = (line, text, name) => {
      const cell = line.insertCell();
      cell.textContent = text;
      if (name) cell.className = name;
      return cell;
    };

    const draw = () => {
      const wanted = {
        comparison: element("comparison").value,
        kind: element("kind").value,
        target: element("class").value,
        file: element("file").value.toLowerCase(),
        net: Number(element("net").value) || 1,
      };
      let chosen = rows.filter((row) =>
        (wanted.comparison === "" || row.comparison === Number(wanted.comparison)) &&
        (wanted.kind === "" || row.kind === wanted.kind) &&
        (wanted.target === "" || row.target === wanted.target) &&
        row.filename.toLowerCase().includes(wanted.file) &&
        Math.abs(row.net) >= wanted.net);
      if (order) {
        const { key, sign } = order;
        chosen = chosen.slice().sort((one, other) => sign * compare(one[key], other[key]));
      }
      page = Math.max(0, Math.min(page, Math.ceil(chosen.length / PAGE) - 1));
      const from = page * PAGE;
      const shown = chosen.slice(from, from + PAGE);
      element("count").textContent = shown.length
        ? `${from + 1} to ${from + shown.length} of ${chosen.length} samples`
        : "no sample";
      body.replaceChildren();
      for (const row of shown) {
        const line = body.insertRow();
        const models = [row.baseline, row.clip_it, row.text];
        add(line, comparisons[row.comparison]);
        add(line, row.kind);
        add(line, row.filename);
        add(line, row.target);
        models.forEach((name, place) => {
          add(line, name === "" ? "-" : `${name} (${row.right[place]})`);
        });
        add(line, (row.net > 0 ? "+" : "") + row.net);
        add(line, row.probability_before.toFixed(3));
        add(line, row.probability_after.toFixed(3));
        const last = add(line, row.report || "", "report");
        if (row.thumbnail) {
          const image = document.createElement("img");
          image.src = row.thumbnail;
          image.alt = row.filename;
          last.prepend(image);
        }
      }
      element("previous").disabled = page === 0;
      element("next").disabled = from + PAGE >= chosen.length;
    };

    for (const name of ["comparison", "kind", "class", "net", "file"]) {
      element(name).addEventListener("input", () => { page = 0; draw(); });
    }
    element("previous").addEventListener("click", () => { page -= 1; draw(); });
    element("next").addEventListener("click", () => { page += 1; draw(); });
    for (const button of element("table").querySelectorAll("th button")) {
      button.addEventListener("click", () => {
        order = { key: button.dataset.key, sign: turn(button, "ascending") };
        page = 0;
        draw();
      });
    }
    draw();
  }
})();
