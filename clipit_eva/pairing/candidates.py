"""Which rows of a bank can be among a query's best: fast matrix products with a bounded error.

A product gives approximate scores. A row of the bank with a true score of at least t has an
approximate score of at least t - error (the Cauchy-Schwarz inequality on what low precision rounds
off), so that only rows above that level need an exact look.
"""

import dataclasses
import functools

import torch

WIDEST = 1 << 16
"""Length of a row up to which the sums of 8-bit products fit into 32 bits."""

_LEVELS = 255
"""Steps of an 8-bit score."""

_LIKELY = 1 / 4
"""Share of the bound that the error of a low-precision product hardly ever reaches."""


_SHARES = [2 ** (-step / 8) for step in range(25)]
"""Parts of a range tried as the range of 8-bit numbers."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """Approximate scores of some queries: (values * step + start + shift) up to error.

    Attributes:
        values: Monotone in the product [n, m], on the device.
        step: Score of a value's unit.
        start: Score of the value 0, before the shift.
        shift: What is added for each query [n], float64.
        error: How far the truth can lie above a score before it is rounded to a value [n], float64.
    """

    values: torch.Tensor
    step: float
    start: float
    shift: torch.Tensor
    error: torch.Tensor

    def truth(self, values: torch.Tensor) -> torch.Tensor:
        """Returns the scores that values [n] stand for, float64."""
        return values.double() * self.step + (self.start + self.shift)

    def level(self, score: torch.Tensor) -> torch.Tensor:
        """Returns the least value [n] of a row that has at least this true score [n]."""
        level = (score - self.error - self.shift - self.start) / self.step
        if self.values.dtype == torch.uint8:
            # A value is rounded, and cut off above: half a step, and a bit for that sum's rounding.
            level = (level - 0.501).ceil_().clamp_(0, _LEVELS)
        return level.to(self.values.dtype)  # rounding keeps the order


class FloatProduct:
    """Products in float32 or bfloat16."""

    def __init__(
        self, centred: torch.Tensor, mean: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype
    ) -> None:
        """Prepares the bank.

        Args:
            centred: Rows without their mean [m, d], float32.
            mean: Their mean [d], float64.
            bias: What is added to each row's product [m], float64.
            dtype: Of the product; bfloat16 only without bias.
        """
        self.likely = 1.0 if dtype == torch.float32 else _LIKELY
        self._mean = mean
        self._values = centred.to(dtype)
        self._largest = _largest_norm(self._values)
        # What the low precision and the subtraction of the mean round off:
        self._residue = _largest_norm(centred - self._values.float()) + 2.0**-23
        self._bias = bias.float() if bias.any() else None
        self._bias_error = float(bias.abs().max()) * 2.0**-22

    def scores(self, queries: torch.Tensor) -> Scores:
        """Compares queries [n, d], float32, with all rows."""
        low = queries.to(self._values.dtype)
        values = low @ self._values.T
        if self._bias is not None:
            values += self._bias
        norm = low.float().norm(dim=1).double()
        residue = (queries - low.float()).norm(dim=1).double()
        of_inputs = residue * (self._largest + self._residue) + norm * self._residue
        of_sums = queries.shape[1] * 2.0**-23 * norm * self._largest
        return Scores(
            values=values,
            step=1.0,
            start=0.0,
            shift=queries.double() @ self._mean,
            error=of_inputs + of_sums + self._bias_error + 2.0**-22,
        )


class ByteProduct:
    """Products in 8-bit integers with 8-bit scores, on a CPU that multiplies them natively.

    Queries lose the mean of a sample too: the narrower their range, the finer their 8 bits. Values
    cover the range of the best scores of the sample; a value beyond only costs time.
    """

    likely = _LIKELY

    def __init__(
        self,
        centred: torch.Tensor,
        mean: torch.Tensor,
        bias: torch.Tensor,
        sample: torch.Tensor,
        k: int,
    ) -> None:
        """Prepares the bank.

        Args:
            centred: Rows without their mean [m, d], float32.
            mean: Their mean [d], float64.
            bias: What is added to each row's product [m], float64.
            sample: Some queries [s, d], float32.
            k: Number of neighbours that will be looked for.
        """
        self._mean = mean
        self._middle = sample.mean(dim=0)
        self.unit = _best_unit(sample - self._middle)
        self._units = (centred.abs().amax(dim=1) / 127).clamp_(min=1e-12)
        rounded = (centred / self._units[:, None]).round_()
        kept = rounded * self._units[:, None]
        self._largest = _largest_norm(kept)
        residues = (centred - kept).norm(dim=1)
        self._residue, self._usual_residue = float(residues.max()), float(residues.mean())
        self._usual_norm = float((sample - self._middle).norm(dim=1).max())
        # A row that was rounded worse than others may be better than it looks: lift it.
        lift = self._usual_norm * (residues - self._usual_residue)
        self._bias = (centred @ self._middle + lift).double() + bias
        self._packed = torch.ops.onednn.qlinear_prepack(rounded.to(torch.int8), None)
        self._zeros = torch.zeros(len(centred), dtype=torch.int64)
        self.start, self._step = 0.0, 1.0
        self._size = 1.0
        self._choose_range(sample, k)
        self._size = 2 + float(self._middle.norm() + self._bias.abs().max()) + abs(self.start)

    def scores(self, queries: torch.Tensor) -> Scores:
        """Compares queries [n, d], float32, with all rows."""
        centred = queries - self._middle
        low = (centred / self.unit).round_().clamp_(-127, 127)
        norm = centred.norm(dim=1).double()
        residue = (centred - low * self.unit).norm(dim=1).double()
        of_rows = self._usual_norm * self._usual_residue
        of_rows = of_rows + (norm - self._usual_norm).clamp_(min=0) * self._residue
        of_inputs = of_rows + residue * self._largest
        # What is computed in float32; the sum of integers is exact.
        of_floats = queries.shape[1] * 2.0**-23 * (norm + residue + self._size)
        return Scores(
            values=self.multiply(low, torch.uint8),
            step=self._step,
            start=self.start,
            shift=queries.double() @ self._mean,
            error=of_inputs + of_floats,
        )

    def multiply(self, low: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Returns (scores - start) / step [n, m]; `low` holds integers of at most 127."""
        return torch.ops.onednn.qlinear_pointwise(
            (low + 128).to(torch.uint8),
            self.unit,
            128,
            self._packed,
            self._units,
            self._zeros,
            (self._bias - self.start).float(),
            self._step if dtype == torch.uint8 else 1.0,
            0,
            dtype,
            "none",
            [],
            "",
        )

    def _choose_range(self, sample: torch.Tensor, k: int) -> None:
        """Lets values cover what lies near the sample's best scores."""
        low = ((sample - self._middle) / self.unit).round_().clamp_(-127, 127)
        best = self.multiply(low, torch.float32).topk(k, sorted=True).values
        error = float(self.scores(sample).error.max())
        lowest, highest = float(best[:, -1].min()) - 1.5 * error, float(best[:, 0].max())
        spare = 0.1 * (highest - lowest)
        self.start = lowest - spare
        self._step = (highest - lowest + 2 * spare) / _LEVELS


@functools.cache
def multiplies_bytes() -> bool:
    """Returns whether this machine's CPU can do `ByteProduct` exactly and fast.

    Without the instructions of AVX512-VNNI the sums of 8-bit products saturate.
    """
    supported = getattr(torch.cpu, "_is_vnni_supported", None)
    if supported is None or not supported() or not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        return False
    extreme = torch.tensor([[1.0], [-1.0]]).expand(64, 2, 512).flatten(0, 1)
    nothing = torch.zeros(512, dtype=torch.float64)
    product = ByteProduct(extreme, nothing, nothing[:128], extreme, 1)
    found = product.multiply(127 * extreme, torch.float32) + product.start
    return torch.allclose(found, extreme @ extreme.T, rtol=1e-4)


def fast_float(device: torch.device) -> torch.dtype:
    """Returns bfloat16 on a CPU that multiplies it natively, about four times as fast.

    Args:
        device: Where products would run.
    """
    native = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def _best_unit(sample: torch.Tensor) -> float:
    """Returns the unit in which the sample [s, d] is rounded to -127..127 with the least error."""
    largest = max(float(sample.abs().max()), 1e-12)
    return min((largest / 127 * share for share in _SHARES), key=lambda u: _rounding(sample, u))


def _rounding(rows: torch.Tensor, unit: float) -> float:
    """Returns how far at most a row [s, d] is from its values in whole units of at most 127."""
    return _largest_norm(rows - (rows / unit).round_().clamp_(-127, 127) * unit)


def _largest_norm(rows: torch.Tensor) -> float:
    """Returns the largest length of a row."""
    return float(rows.float().norm(dim=1).max())
