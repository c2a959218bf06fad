"""Transfer by a linear classifier on frozen features, its strength swept."""

from __future__ import annotations

from functools import cache

from vlc_core.inference import ImageSet
from vlc_plugin_eval.features import finite_rows
from vlc_plugin_eval.linear_probe import COARSE, FINE
from vlc_plugin_eval.logistic import Floats, best_exponent, fit, sweep
from vlc_plugin_eval.transfer.bench import Bench, Drawn
from vlc_plugin_eval.transfer.journal import Journal, Result
from vlc_plugin_eval.transfer.scores import scores
from vlc_plugin_eval.transfer.swept import Swept
from vlc_plugin_eval.transfer.watched import encoded

LOW, HIGH = -6.0, 6.0


def sweep_frozen(bench: Bench, drawn: Drawn, journal: Journal) -> Swept:
    """Chooses λ of Σ cross-entropy + λ/2 · ‖weights‖² on the validation examples, and tests it fitted to all.

    The sweep is that of ``linear-probe``: 10⁻⁶, 10⁻⁴, … 10⁶, then around the best.

    Raises:
        Diverged: A feature is not finite.
    """
    protocol, draw = bench.protocol, drawn.draw
    common = {"method": "frozen", "features": protocol.features, "iterations": protocol.iterations}
    found: dict[float, Result] = {}

    @cache
    def x() -> Floats:
        return _features(bench, encoded(bench.inference, draw.examples, f"the examples of {drawn}"))

    def validated(exponent: float) -> float:
        def work() -> Result:
            n = draw.training
            fitted = fit(x()[:n], draw.y[:n], strength=10**exponent, iterations=protocol.iterations)
            return scores(fitted.predict(x()[n:]), draw.y[n:])

        told = drawn.validation(**common, exponent=exponent)
        found[exponent] = journal.done(told, work, name=str(drawn))
        return found[exponent][drawn.task.score]

    def tested() -> Result:
        fitted = fit(x(), draw.y, strength=10**best, iterations=protocol.iterations)
        test = encoded(bench.inference, drawn.task.test, f"the test of {drawn.task.name}")
        result = scores(fitted.predict(_features(bench, test)), test.labels.numpy())
        return result | {"samples": float(len(test.labels)), "skipped": float(len(test.skipped))}

    best = best_exponent(sweep(validated, low=LOW, high=HIGH, step=COARSE, finest=FINE))
    result = journal.done(drawn.test(**common, exponent=best), tested, name=str(drawn))
    swept = {_name(exponent): found[exponent][drawn.task.score] for exponent in sorted(found)}
    return Swept("frozen", drawn.number, swept, _name(best), result)


def _features(bench: Bench, images: ImageSet) -> Floats:
    x = images.summary if bench.protocol.features == "summary" else images.embed
    features: Floats = finite_rows(x, what="image").numpy()
    return features


def _name(exponent: float) -> str:
    return f"strength 10^{exponent:g}"
