"""What follows from one table of the comparison in sentences, and what does not."""

from collections.abc import Mapping
from typing import Any

from experiments.rivals.picture import order
from mcvae_jax.evaluation.compare import STRONG
from mcvae_jax.evaluation.conclusions import span
from mcvae_jax.evaluation.controls import HALF
from mcvae_jax.evaluation.scores import BASELINE, WITH_COPIES
from mcvae_jax.models.song_model import BOUND

Found = Mapping[str, Any]


def follows(found: Found) -> list[str]:
    """The model with the fewest bits beside the baseline and the next; that whose songs are nearest to real ones."""
    return [*_cheapest(found), *_nearest(found)]


def follows_not(found: Found) -> list[str]:
    """What the figures do not say."""
    bits, costs = found["bits"], found["costs"]
    seeds = sorted({each["seeds"] for name, each in costs.items() if each["steps"]})
    lines = [
        "Intervals are over the held-out songs of this corpus; they say nothing about other music.",
        f"What another training would give is not in them; each model has {' or '.join(map(str, seeds))} here.",
        "Rates and dropout are those of each model's own preset, and none was tuned for this table.",
        "Every model kept the state with the lowest objective on the held-out songs.",
    ]
    if bounds := [name for name in order(found) if name in bits and bits[name]["likelihood"] == BOUND]:
        lines.append(f"The figures of {', '.join(bounds)} are bounds: how much less their bars cost is not known.")
    if silent := [name for name in order(found) if name not in bits]:
        lines.append(f"Without a likelihood nothing is known of the bits of {', '.join(silent)}.")
    return lines


def forms(found: Found, name: str) -> list[str]:
    """The rows of a model: alone and with the copy switch."""
    return [each for each in (name, name + WITH_COPIES) if each in found["bits"]]


def _cheapest(found: Found) -> list[str]:
    bits = found["bits"]
    best_forms = {
        name: min(forms(found, name), key=lambda each: bits[each]["bits_per_bar"]["value"])
        for name in order(found)
        if forms(found, name)
    }
    if not best_forms:
        return []
    best, *others = best_forms.values()
    beyond = bits[best]["beyond"]
    lines = [
        f"{best} needs the fewest bits: {span(bits[best]['bits_per_bar'], '.2f')} a bar.",
        f"That is {_more(beyond)} than {BASELINE} does, {_shown(beyond)}.",
    ]
    if others:
        lines.append(f"Next is {others[0]} with {span(bits[others[0]]['bits_per_bar'], '.2f')}.")
        seeds = bits[others[0]]["of_seeds"]
        if low := [seed for seed in seeds if seed < max(bits[best]["of_seeds"])]:
            lines.append(
                f"{len(low)} of its {len(seeds)} trainings lie below the highest of {best}, so that the order of these"
                " two is not settled."
            )
    return lines


def _more(beyond: Found) -> str:
    """'4.74 fewer (4.27 to 5.23)'."""
    ends = sorted(abs(end) for end in beyond["interval"])
    across = beyond["interval"][0] < 0 < beyond["interval"][1]
    low, high = beyond["interval"] if across else ends
    word = "more" if beyond["value"] > 0 else "fewer"
    between = f"{low:+.2f} to {high:+.2f}" if across else f"{low:.2f} to {high:.2f}"
    return f"{abs(beyond['value']):.2f} {word} ({between})"


def _shown(beyond: Found) -> str:
    low, high = beyond["interval"]
    return "a difference that the songs show" if low > 0 or high < 0 else "a difference that is not shown"


def _nearest(found: Found) -> list[str]:
    sets = found["sets"]["sets"]["sets"]
    told = {name: sets[name]["distances"][STRONG] for name in found["sets"]["kinds"]["models"]}
    nearest = min(told, key=lambda name: told[name]["value"])
    close = [
        name for name, each in told.items() if name != nearest and each["interval"][0] <= told[nearest]["interval"][1]
    ]
    lines = [
        f"The strong classifier tells {span(told[nearest], '.0%')} of the songs of {nearest} and of real songs rightly,"
        f" fewer than of any other model; of two sets of real songs {span(sets[HALF]['distances'][STRONG], '.0%')}.",
    ]
    if close:
        own = (
            f"The interval of {close[0]} meets" if len(close) == 1 else f"The intervals of {len(close)} other sets meet"
        )
        lines.append(f"{own} that, so that which is nearest is not shown.")
    return lines
