"""The whole evaluation of a list of models: held-out songs in bits, composed songs beside held-out ones, copies.

One corpus, one split and one reference encoder serve all models of a report, whatever they are.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mcvae_jax.corpus.store import TRAIN, Corpus
from mcvae_jax.errors import UserError
from mcvae_jax.evaluation import compare
from mcvae_jax.evaluation.judged import Plan, Songs, judge, real_songs
from mcvae_jax.evaluation.music import GIVEN
from mcvae_jax.evaluation.scores import CONTROL, IN_KEYS, MODEL, NGRAM, PART, SWITCHED, fit_ngrams, score_models
from mcvae_jax.evaluation.switch import corpus_switch, with_switch
from mcvae_jax.models.settings import AS_TRAINED, Settings
from mcvae_jax.models.song_model import MEMORY, NO_LIKELIHOOD, SongModel, has_latents
from mcvae_jax.nn.keys import song_keys
from mcvae_jax.sampling import ranking

Say = Callable[[str], None]
Models = Mapping[str, SongModel]  # by name

MOST_CONTINUED = 64  # bars
ROUNDS = 4  # in which songs that are long enough are drawn


def named(models: Sequence[SongModel], beside: Sequence[SongModel] = ()) -> dict[str, SongModel]:
    """The models by name; where two have the same, or one of those beside them, the folders of their workdirs tell."""
    names = [model.name for model in (*models, *beside)]
    found: dict[str, SongModel] = {}
    for model in models:
        folders = [str(origin.folder) for origin in model.origins.values()][-1:]
        name = f"{model.name} ({folders[0]})" if names.count(model.name) > 1 and folders else model.name
        found[name] = model
    return found


def evaluate(models: Models, corpus: Corpus, plan: Plan, encoder: SongModel | None, say: Say) -> dict[str, Any]:
    """The report, as JSON.

    Args:
      models: what is to be judged, the most important one first.
      encoder: the model whose latents the Frechet distance and MMD of all sets are measured in; None leaves these out.

    Returns: 'models' (`score_models`, and in 'baselines' whose each of these rows is), 'sets' (`compare_sets`),
      'flags' (`lost_to`), 'copies' (`compare_copies`), 'music' (`musical_figures` of songs that go on after real bars,
      then of songs from nothing), and 'kinds' of sets: the names of 'models', 'controls' and 'continued' ones, and the
      'held_out' one of 'copies'.

    Raises:
      UserError: the corpus has too few songs of `plan.bars` bars.
    """
    if all(model.likelihood == NO_LIKELIHOOD for model in models.values()):
        raise UserError(
            f"{', '.join(models)}: without a likelihood there is no report, which compares bits; name a model that has"
            " one beside it in --models, such as one of the config markov"
        )
    real = real_songs(corpus, plan)
    untrained, _ = _merged({name: model.untrained(plan.seed) for name, model in models.items()})
    baselines, owners = _merged({name: model.baselines(real.training) for name, model in models.items()})
    kin = _kin(models)
    all_training = [corpus.song(i) for i in corpus.songs(TRAIN)]
    say("n-grams and the copy switch")
    switch, ngrams = corpus_switch(all_training, plan.seed), fit_ngrams(all_training)
    rows: dict[str, Models] = {
        MODEL: models,
        PART: kin,
        NGRAM: ngrams | with_switch({IN_KEYS: ngrams[IN_KEYS]}, switch),
        SWITCHED: with_switch({**models, **kin}, switch),
        CONTROL: untrained | baselines,
    }
    scores = score_models(rows, real.held_out, plan.draws, plan.seed, say) | {"baselines": owners}
    composed = composed_sets(models, plan, say)
    blind = {name: compose(model, plan, as_trained=True) for name, model in untrained.items()}
    gone_on = continued_sets(models, real.whole, plan, say)
    judged = judge(composed, blind, gone_on, real, corpus, plan, _encoder(encoder, plan.bars), say)
    return {"kinds": judged.pop("kinds"), "models": scores} | judged


def composed_sets(models: Models, plan: Plan, say: Say) -> dict[str, Songs]:
    """What each model composes as it was trained and with its own defaults, then the parts of its workdir."""
    made = {}
    for name, model in models.items():
        say(f"{name} composes {plan.songs} songs")
        if MEMORY not in model.abilities:
            made[name] = compose(model, plan, as_trained=True)
            continue
        made[f"{name} (as trained)"] = compose(model, plan, as_trained=True)
        if dataclasses.replace(sampler(model, plan), seed=AS_TRAINED.seed) != AS_TRAINED:
            made[f"{name} (sampler's defaults)"] = compose(model, plan, as_trained=False)
    return made | {name: compose(model, plan, as_trained=True) for name, model in _kin(models).items()}


def sampler(model: SongModel, plan: Plan) -> Settings:
    """The model's own settings, with what the plan says of draws."""
    best_of = plan.best_of or model.defaults.best_of
    if best_of > 1 and model.likelihood == NO_LIKELIHOOD:  # nothing tells which draw is the likelier
        best_of = 1
    return dataclasses.replace(model.defaults, best_of=best_of, seed=plan.seed)


def compose(model: SongModel, plan: Plan, as_trained: bool) -> Songs:
    """The first bars of songs from nothing, cut as held-out songs are: a song that ends earlier makes way for another.

    A model that still ends too many early is told to go on.
    """
    settings = dataclasses.replace(AS_TRAINED, seed=plan.seed) if as_trained else sampler(model, plan)
    nothing = [np.empty((0, model.steps), np.uint8)] * plan.songs
    keys = song_keys(plan.seed, range(1, ROUNDS * plan.songs + 1))
    found: Songs = []
    for n in range(ROUNDS):
        of_round = keys[n * plan.songs : (n + 1) * plan.songs]
        drawn = ranking.go_on(model, nothing, of_round, None, settings, plan.bars)
        found += [song for song, _ in drawn if len(song) == plan.bars]
        if len(found) >= plan.songs:
            return found[: plan.songs]
    missing = plan.songs - len(found)
    return found + [song for song, _ in ranking.go_on(model, nothing[:missing], keys[:missing], plan.bars, settings)]


def continued_sets(models: Models, real: Sequence[np.ndarray], plan: Plan, say: Say) -> dict[str, Songs]:
    """How each model goes on after the first GIVEN bars of real songs, by its own defaults, until it ends them.

    The given bars stand before the others. A model that ends no song is cut after MOST_CONTINUED bars.
    """
    given = [song[:GIVEN] for song in real]
    keys, made = song_keys(plan.seed, range(1, len(real) + 1), given), {}
    for name, model in models.items():
        if MEMORY in model.abilities:
            say(f"{name} goes on after {GIVEN} bars of {len(real)} held-out songs")
            chosen = ranking.go_on(model, given, keys, None, sampler(model, plan), MOST_CONTINUED)
            rest = [song for song, _ in chosen]
            made[f"{name} (continued)"] = [np.concatenate(parts) for parts in zip(given, rest, strict=True)]
    return made


def _kin(models: Models) -> dict[str, SongModel]:
    """Other models in the workdirs of some, each once."""
    known = {_read_from(model) for model in models.values()}
    kin = {_read_from(each): each for owner in models.values() for each in owner.kin()}
    return named([model for read_from, model in kin.items() if read_from not in known], list(models.values()))


def _read_from(model: SongModel) -> tuple[str, ...]:
    """Of two models that are the same, the same."""
    return model.name, *(origin.identity for origin in model.origins.values())


def _merged(groups: Mapping[str, Models]) -> tuple[dict[str, SongModel], dict[str, str]]:
    """Controls of several models by name, and whose each is; those after the first with a number where names meet."""
    found: dict[str, SongModel] = {}
    owners = {}
    for n, (owner, group) in enumerate(groups.items(), 1):
        for name, model in group.items():
            free = name if name not in found else f"{name} ({n})"
            found[free], owners[free] = model, owner
    return found, owners


def _encoder(model: SongModel | None, bars: int) -> compare.Encode | None:
    """Songs of `bars` bars -> their latents, float64 (S, bars, Z)."""
    if model is None or not has_latents(model):
        return None

    latents = model

    def encode(songs: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([mu for mu, _ in latents.encode(songs)]).astype(np.float64)

    return encode
