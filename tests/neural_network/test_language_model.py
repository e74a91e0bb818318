"""CausalLanguageModel: exact likelihoods, training, new texts, and all kinds of input."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from sklearn_ext import CausalLanguageModel, LoRAAdapter
from sklearn_ext.neural_network._token_rows import windows_of

TEXTS = [
    "one two three",
    "two three four, and a much longer text that goes on for some time",
    "three",
    "",
    "naïve café 한국어",
    "one two",
] * 3
SMALL = {"hidden_size": 16, "num_heads": 2, "max_iter": 3, "random_state": 0}


def fitted(texts=TEXTS, y=None, **params):
    return CausalLanguageModel(**SMALL | params).fit(texts, y)


@pytest.fixture(scope="module")
def model():
    return fitted(precision="float64")


@torch.no_grad()
def loop(model, text, prompt=""):
    """Log-likelihood of a text token by token, each from all tokens before it in its window."""
    gpt, tokenizer, longest = model.net_.module_.body, model.tokenizer_, model.max_length
    first, then = tokenizer.encode([prompt, text])
    tokens = [tokenizer.start, *first, *then, tokenizer.end]
    total, stride = 0.0, max(1, longest // 2)
    for step in range(1 + len(first), len(tokens)):
        start = 0
        while step - start > longest:
            start += stride
        logits = gpt(torch.tensor([tokens[start:step]]))[0, -1]
        total += float(logits.double().log_softmax(-1)[tokens[step]])
    return total


# Likelihoods


@pytest.mark.parametrize("positions", ["rotary", "learned"])
@pytest.mark.parametrize("max_length", [256, 10, 7])
def test_score_samples_is_a_loop_over_tokens(positions, max_length):
    model = fitted(precision="float64", positions=positions, max_length=max_length)
    expected = [loop(model, text) for text in TEXTS[:6]]
    assert_allclose(model.score_samples(TEXTS[:6]), expected, rtol=1e-10)


def test_score_samples_in_single_precision_is_close():
    model = fitted()
    found = model.score_samples(TEXTS)
    assert found.dtype == np.float32
    assert_allclose(found, [loop(model, text) for text in TEXTS], rtol=1e-5)


@pytest.mark.parametrize("max_length", [256, 10])
def test_completions_are_scored_given_their_prompts(max_length):
    prompts = ["sky is ", "the grass of the park is ", "x"] * 4
    y = ["blue", "green", ""] * 4
    model = fitted(prompts, y, precision="float64", max_length=max_length)
    expected = [loop(model, text, prompt) for prompt, text in zip(prompts, y, strict=True)]
    assert_allclose(model.score_samples(prompts, y), expected, rtol=1e-10)


def test_prompt_and_completion_are_the_conditional_of_the_text(model):
    # log P(xy) = log P(x followed by anything) + log P(y | x); the first is what ends leave out.
    prompt, text = "one two", " three"
    end = model.score_samples([prompt], [""])
    assert_allclose(
        model.score_samples([prompt + text]) - model.score_samples([prompt], [text]),
        model.score_samples([prompt]) - end,
    )


def test_probabilities_of_all_texts_sum_to_one():
    # All texts of at most one token, and the share that goes on from each.
    model = fitted(precision="float64")
    short = [chr(code) for code in range(128)]
    gpt = model.net_.module_.body
    with torch.no_grad():
        first = gpt(torch.tensor([[256]]))[0, -1].softmax(-1).numpy()
    ends = np.exp(model.score_samples(short))
    assert_allclose(np.exp(model.score_samples([""])), first[256])
    given = np.exp(model.score_samples(short, [""] * 128))
    assert_allclose(ends, first[:128] * given)


def test_scores_and_perplexity(model):
    found = model.score_samples(TEXTS)
    tokens = np.array([len(text.encode()) + 1 for text in TEXTS])
    assert model.score(TEXTS) == pytest.approx(found.mean())
    assert model.perplexity(TEXTS) == pytest.approx(np.exp(-found.sum() / tokens.sum()))
    weight = np.arange(len(TEXTS)) % 3
    repeated = np.repeat(TEXTS, weight).tolist()
    assert model.score(TEXTS, sample_weight=weight) == pytest.approx(model.score(repeated))
    assert model.perplexity(TEXTS, sample_weight=weight) == pytest.approx(
        model.perplexity(repeated)
    )


def test_likelihood_does_not_depend_on_the_other_texts(model):
    together = model.score_samples(TEXTS)
    assert_allclose(together, [model.score_samples([text])[0] for text in TEXTS], rtol=1e-12)
    assert_allclose(model.score_samples(TEXTS[::-1])[::-1], together, rtol=1e-12)


@pytest.mark.parametrize("n_prompt", [0, 3, 20])
@pytest.mark.parametrize("longest", [2, 5, 8, 100])
def test_windows_predict_every_token_once(n_prompt, longest):
    prompt, text = np.arange(n_prompt), np.arange(100, 130)
    windows = windows_of(prompt, text, 500, 501, longest)
    predicted = np.concatenate([window[window[:, 1] >= 0, 1] for window in windows])
    assert predicted.tolist() == [*text, 501]
    assert all(len(window) <= longest for window in windows)


# Training


def test_first_loss_is_the_mean_over_tokens():
    # At a rate of next to nothing the loss is that of the fitted net.
    model = fitted(learning_rate_init=1e-12, max_iter=1, precision="float64")
    assert model.loss_ == pytest.approx(np.log(model.perplexity(TEXTS)), rel=1e-6)


def test_mini_batches_sum_up_to_the_mean_over_tokens():
    settings = {"learning_rate_init": 1e-12, "max_iter": 1, "precision": "float64"}
    model = fitted(batch_size=4, shuffle=False, **settings)
    # 18 texts are four batches of 4 and one of 2: a batch weighs as one, its texts by tokens.
    tokens = np.array([len(text.encode()) + 1 for text in TEXTS])
    losses = -model.score_samples(TEXTS) / tokens.mean()
    expected = np.mean([losses[start : start + 4].mean() for start in range(0, 18, 4)])
    assert model.loss_ == pytest.approx(expected, rel=1e-5)


def test_prompts_are_not_trained_on():
    # The loss is that of the completions alone.
    settings = {"learning_rate_init": 1e-12, "max_iter": 1, "precision": "float64"}
    model = fitted(["a prompt", "another"], ["yes", "no"], **settings)
    found = -model.score_samples(["a prompt", "another"], ["yes", "no"]).sum() / (4 + 3)
    assert model.loss_ == pytest.approx(found, rel=1e-6)


def test_it_learns_a_language():
    rng = np.random.default_rng(0)
    words = ["red", "green", "blue"]
    texts = [" ".join(rng.choice(words, size=3)) for _ in range(60)]
    model = CausalLanguageModel(max_iter=100, hidden_size=32, num_heads=2, random_state=0)
    model.fit(texts)
    assert set(" ".join(model.sample(20, random_state=0, temperature=0.5)).split()) <= set(words)
    # Three words of three: no model of texts can do better than log 27 on the mean.
    assert -4.5 < model.score(texts) < -np.log(27) + 0.4


def test_repetition_is_weight():
    weights = np.array([1, 2, 0, 3, 1, 2])
    settings = {"precision": "float64", "max_iter": 5}
    weighted = CausalLanguageModel(**SMALL | settings)
    weighted.fit(TEXTS[:6], sample_weight=weights)
    repeated = fitted(np.repeat(TEXTS[:6], weights).tolist(), **settings)
    assert_allclose(
        weighted.score_samples(TEXTS), repeated.score_samples(TEXTS), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("params", [{}, {"batch_size": 4, "dropout": 0.2}])
def test_same_seed_same_bits(params):
    first, second = fitted(**params), fitted(**params)
    assert_array_equal(first.score_samples(TEXTS), second.score_samples(TEXTS))
    assert first.sample(3, random_state=1).tolist() == second.sample(3, random_state=1).tolist()


def test_early_stopping_holds_out_whole_texts():
    model = fitted(early_stopping=True, validation_fraction=0.3, max_length=8, max_iter=4)
    assert len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_loss_ == min(model.validation_loss_curve_)
    rows = model._windows(model._read_rows(TEXTS, reset=False))
    seen, held = model._folds(rows, rows.counts, torch.Generator().manual_seed(0))
    owners = [set(rows.owners[part[0].numpy()]) for part in (seen, held)]
    assert not owners[0] & owners[1]
    assert owners[0] | owners[1] == set(range(len(TEXTS)))


def test_texts_are_counted_and_not_their_windows():
    book = ["the quick brown fox jumps over the lazy dog. " * 200]
    model = CausalLanguageModel(
        **SMALL | {"max_length": 8, "max_iter": 1, "early_stopping": "auto"}
    )
    assert model.fit(book).validation_loss_curve_ is None
    adapter = LoRAAdapter(model.set_params(early_stopping=False), r=2, max_iter=1)
    assert adapter.fit(book).n_iter_ == 1


def test_validation_set_is_watched():
    model = CausalLanguageModel(**SMALL).fit(TEXTS, validation_set=TEXTS[:2])
    best = model.validation_loss_curve_.index(model.best_loss_)
    assert np.log(model.perplexity(TEXTS[:2])) == pytest.approx(model.best_loss_, rel=1e-5)
    assert model.validation_scores_[best] == pytest.approx(-model.best_loss_, rel=1e-5)
    with pytest.raises(ValueError, match="validation_set must be texts, or a tuple"):
        model.fit(TEXTS, validation_set=(TEXTS, None, None, None))
    for texts in [(), ("one", "two"), ("one", "two", "three", "four")]:
        with pytest.raises(ValueError, match=r"validation_set must be texts.*Make texts a list"):
            model.fit(TEXTS, validation_set=texts)


def test_partial_fit_and_warm_start_go_on():
    model = CausalLanguageModel(**SMALL).partial_fit(TEXTS)
    losses = [model.loss_] + [model.partial_fit(TEXTS).loss_ for _ in range(10)]
    assert losses[-1] < losses[0]
    warm = CausalLanguageModel(**SMALL | {"warm_start": True}).fit(TEXTS)
    warm.fit(TEXTS)
    assert len(warm.loss_curve_) == 6
    assert warm.loss_curve_[3] < warm.loss_curve_[0]


def test_no_epochs_leave_the_start():
    start = fitted(max_iter=0, precision="float64")
    assert (start.loss_curve_, start.n_iter_) == ([], 0)
    slow = fitted(max_iter=1, learning_rate_init=1e-30, precision="float64")
    assert_allclose(start.score_samples(TEXTS), slow.score_samples(TEXTS), rtol=1e-5)
    returned = pickle.loads(pickle.dumps(start))
    assert_array_equal(returned.score_samples(TEXTS), start.score_samples(TEXTS))
    warm = start.set_params(warm_start=True, max_iter=2).fit(TEXTS)
    assert len(warm.loss_curve_) == 2


def test_grid_search_over_the_score():
    search = GridSearchCV(CausalLanguageModel(**SMALL), {"hidden_size": [8, 16]}, cv=2)
    search.fit(TEXTS)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    search.fit(["a", "b", "c"] * 2, ["d", "e", "f"] * 2)
    assert search.score(["a"], ["d"]) == search.best_estimator_.score_samples(["a"], ["d"])[0]


# New texts


def test_sample_follows_the_seed_and_the_limits(model):
    texts = model.sample(4, random_state=0, max_new_tokens=5)
    assert texts.shape == (4,)
    assert texts.tolist() == model.sample(4, random_state=0, max_new_tokens=5).tolist()
    assert texts.tolist() != model.sample(4, random_state=1, max_new_tokens=5).tolist()
    assert all(len(text) <= 5 for text in texts)


def test_stop_strings_end_a_text():
    model = CausalLanguageModel(
        max_iter=60, hidden_size=32, num_heads=2, learning_rate_init=0.02, random_state=0
    )
    model.fit(["abc. def", "abc. ghi"] * 4)
    assert model.generate(["a"], temperature=0, stop=[". ", "x"]).tolist() == ["bc"]
    assert model.generate(["a"], temperature=0, stop="c.").tolist() == ["b"]
    assert model.generate(["a", "abc"], temperature=0)[1][:2] == ". "
    with pytest.raises(ValueError, match="stop must hold strings that are not empty"):
        model.generate(["a"], stop=[""])
    for stop in ("\ud800", "x\ufffd"):  # the second is read inside of an unfinished character
        with pytest.raises(ValueError, match=r"stop='.*' holds U\+FFFD or half of a surrogate"):
            model.generate(["a"], stop=stop)


def test_drawing_leaves_generators_and_the_model_alone(model):
    state, numbers = torch.get_rng_state(), pickle.dumps(model)
    model.sample(2, random_state=0, max_new_tokens=3)
    assert torch.equal(state, torch.get_rng_state())
    assert pickle.dumps(model) == numbers


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -1.0), ("top_k", 0), ("top_p", 0.0), ("max_new_tokens", 0), ("stop", 3)],
)
def test_wrong_ways_of_drawing_are_named(model, name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        model.sample(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        model.generate(["a"], **{name: value})


def test_errors_of_drawing_name_the_class(model):
    with pytest.raises(ValueError, match=r"'temperature' .* of CausalLanguageModel\.generate"):
        model.generate(["x"], temperature=-1)
    with pytest.raises(ValueError, match=r"'n_samples' parameter of CausalLanguageModel\.sample"):
        model.sample(0)


def test_true_is_no_number_of_tokens(model):
    with pytest.raises(ValueError, match="top_k=True is no number"):
        model.sample(top_k=True)


# Input


def test_forms_of_texts_are_one():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    expected = fitted().score_samples(TEXTS)
    forms = [tuple, np.array, lambda x: np.array(x, dtype=object), pandas.Series, polars.Series]
    for form in forms:
        assert_array_equal(fitted(form(TEXTS)).score_samples(form(TEXTS)), expected)


def test_a_table_is_the_text_of_its_cells():
    X, y = np.array([[1.0, -0.25], [3.14159, 2000.0], [0.5, -0.0]]), np.array([1, 2, 3])
    texts, targets = ["1 -0.25", "3.14 2e+03", "0.5 0"], ["1", "2", "3"]
    table = fitted(X, y)
    assert table.n_features_in_ == 2
    assert_allclose(table.score_samples(X, y), table.score_samples(texts, targets), rtol=1e-5)
    of_texts = fitted(texts, targets, precision="float64")
    assert_allclose(of_texts.score_samples(texts, targets), table.score_samples(X, y), rtol=1e-6)


def test_mixed_frames_are_tables():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"name": ["a", "b"], "size": [1.5, 2.0]})
    model = fitted(frame)
    assert model.feature_names_in_.tolist() == ["name", "size"]
    found = model.score_samples(frame)
    assert_allclose(found, model.score_samples(["a 1.5", "b 2"]), rtol=1e-5)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("a text", ValueError, "string object received"),
        (None, ValueError, "X=None: give a sequence of strings"),
        (["a", None], ValueError, "contains NaN: text 1 is missing"),
        (["a", float("nan")], ValueError, "contains NaN: text 1 is missing"),
        (["a", b"b"], TypeError, "must hold strings, got bytes"),
        ({"a": 1}, TypeError, "got a dict. Make it a list"),
        ({"a"}, TypeError, "got a set. Make it a list"),
        (iter(["a"]), TypeError, "got a list_iterator. Make it a list"),
        (["a", 3], TypeError, "must hold strings, got int"),
        ([], ValueError, "0 sample"),
        (np.array(["a"])[:0], ValueError, "0 sample"),
        (np.arange(3.0), ValueError, "Expected 2D array"),
        (np.zeros((2, 3, 4)), ValueError, "dim 3"),
    ],
)
def test_bad_input_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        CausalLanguageModel(**SMALL).fit(X)


def test_missing_strings_of_pandas_are_told():
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["a", pandas.NA], dtype="string")
    with pytest.raises(ValueError, match="contains NaN: text 1 is missing"):
        CausalLanguageModel(**SMALL).fit(series)


def test_numbers_in_one_dimension_are_no_texts():
    with pytest.raises(ValueError, match="Expected 2D array") as raised:
        CausalLanguageModel(**SMALL).fit([1, 2])
    assert raised.value.__notes__ == [
        "Texts are a sequence of strings, such as a list; this X holds none."
    ]


def test_no_prompts_at_all_are_no_table(model):
    with pytest.raises(ValueError, match="0 sample"):
        model.generate([])


def test_bad_targets_are_refused(model):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        fitted(["a", "b"], [1.0, np.nan])
    with pytest.raises(ValueError, match="y contains NaN: text 1"):
        fitted(["a", "b"], ["c", None])


def test_table_after_texts_is_refused(model):
    with pytest.raises(ValueError, match="X is a table, but CausalLanguageModel was fitted on"):
        model.score_samples(np.zeros((2, 2)))


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="hidden_size=10 must be a multiple of num_heads=4"):
        CausalLanguageModel(hidden_size=10).fit(TEXTS)
    with pytest.raises(ValueError, match="needs an even hidden_size / num_heads"):
        CausalLanguageModel(hidden_size=12, num_heads=4).fit(TEXTS)
    fitted(hidden_size=12, num_heads=4, positions="learned")


def test_failed_fit_leaves_nothing(model):
    before = dict(vars(copied := clone(model)))
    with pytest.raises(ValueError, match="multiple of"):
        copied.set_params(num_heads=3).fit(TEXTS)
    assert vars(copied) == before | {"num_heads": 3}
    with pytest.raises(NotFittedError):
        copied.score_samples(TEXTS)


# Tokens


def test_bpe_learns_and_reads_every_text():
    pytest.importorskip("tokenizers")
    model = fitted(tokenizer="bpe", vocab_size=300)
    tokenizer = model.tokenizer_
    assert tokenizer.n_tokens <= 300
    for text in [*TEXTS, "unseen ✓ text\n\ttabs", "<|endoftext|>"]:
        assert tokenizer.decode(tokenizer.encode([text])[0]) == text
    n_bytes = sum(len(text.encode()) for text in TEXTS)
    assert sum(map(len, tokenizer.encode(TEXTS))) < n_bytes / 2
    returned = pickle.loads(pickle.dumps(model))
    assert_array_equal(returned.score_samples(TEXTS), model.score_samples(TEXTS))
    assert returned.sample(random_state=0)[0] == model.sample(random_state=0)[0]


def test_half_a_surrogate_pair_is_a_text(model):
    assert np.isfinite(model.score_samples(["\ud800"])).all()


def test_pickle_holds_no_torch_object(model):
    data = pickle.dumps(model)
    assert b"torch" not in data.replace(b"sklearn_ext", b"")
    assert_array_equal(pickle.loads(data).score_samples(TEXTS), model.score_samples(TEXTS))


def test_stop_strings_in_any_container(model):
    drawn = model.generate(["one"], random_state=0, stop=("e", "t"))
    assert_array_equal(model.generate(["one"], random_state=0, stop=np.array(["e", "t"])), drawn)


def test_half_a_character_cannot_be_learned():
    pytest.importorskip("tokenizers")
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        fitted(["\ud800x"] * 8, tokenizer="bpe")
    model = fitted(tokenizer="bpe", vocab_size=300)
    for method in (model.score_samples, model.generate, model.partial_fit):
        with pytest.raises(ValueError, match=r"half of a surrogate pair, near 'a.*or leave the"):
            method(["one", "a\ud800"])
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        model.score_samples(["one"], ["\udfff"])


def test_partial_fit_behind_a_start_alone():
    model = fitted(max_iter=0).partial_fit(TEXTS)
    assert np.isfinite(model.fit(TEXTS).partial_fit(TEXTS).loss_)


@pytest.mark.parametrize("kind", ["polars", "pandas", "objects"])
def test_missing_cells_are_told(kind):
    cells = ["a", None] * 4
    frames = pytest.importorskip(kind) if kind != "objects" else None
    if kind == "pandas":
        table = frames.DataFrame({"t": frames.array(cells, dtype="string")})
    else:
        table = frames.DataFrame({"t": cells}) if frames else np.array(cells, dtype=object)[:, None]
    with pytest.raises(ValueError, match="a cell of a table of texts is missing"):
        fitted(table)
