"""Models of transformers as bodies: tiny ones of random weights, made here."""

import json
import pickle
import warnings

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from torch.multiprocessing.reductions import StorageWeakRef

from sklearn_ext import CausalLanguageModel, LoRAAdapter, TransformerClassifier
from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext._torch.low_rank import LoRASettings
from sklearn_ext._torch.weight_files import loaded

TEXTS = ["one two", "two three four one two three", "four", "", "one one"] * 2
LABELS = [0, 1, 0, 1, 0] * 2
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "one", "two", "three", "four"]

CAUSAL = {
    "llama": {
        "num_key_value_heads": 1,
        "attention_dropout": 0.1,
        "tie_word_embeddings": True,
    },
    "gpt2": {"n_positions": 32},
    "mistral": {"num_key_value_heads": 1, "sliding_window": 3},
    "gpt_neox": {"hidden_dropout": 0.1},
    "opt": {"word_embed_proj_dim": 8, "ffn_dim": 16},
}
WITHOUT_DROPOUT = "llama", "mistral", "opt"  # have none, or none that is a layer
ENCODERS = {"bert": {}, "distilbert": {"dim": 8, "hidden_dim": 16}, "roberta": {}}
# Attention in plain steps; and of a pair of encoder and decoder the first.
OTHER_ENCODERS = {
    "mpnet": {"max_position_embeddings": 40},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "longformer": {"attention_window": 4, "max_position_embeddings": 40},
    "t5": {"d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 2, "num_heads": 2},
}


def word_tokenizer():
    model = tokenizers.models.WordLevel(dict(zip(WORDS, range(8), strict=True)), "<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=32,
    )


def saved(folder, kind, auto, settings):
    """Save a model of random weights and its tokenizer."""
    sizes = {
        "vocab_size": 8,
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    if kind == "roberta":
        sizes["max_position_embeddings"] = 40
    config = transformers.AutoConfig.for_model(kind, **sizes | settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = auto.from_config(config).float()
        for parameter in model.parameters():  # far from a uniform prediction
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.4)
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder, model.train(False)


@pytest.fixture(params=CAUSAL)
def causal(request, tmp_path):
    auto = transformers.AutoModelForCausalLM
    return saved(tmp_path / request.param, request.param, auto, CAUSAL[request.param])


@pytest.fixture(params=ENCODERS)
def encoder(request, tmp_path):
    auto = transformers.AutoModel
    return saved(tmp_path / request.param, request.param, auto, ENCODERS[request.param])


def untrained(folder, **params):
    """Fit so slowly that the weights stay."""
    settings = {"max_length": 16, "learning_rate_init": 1e-30, "max_iter": 1, "random_state": 0}
    return CausalLanguageModel(model=folder, **settings | params).fit(TEXTS)


@torch.no_grad()
def loop(model, text):
    tokens = [1, *(WORDS.index(word) for word in text.split()), 2]
    total = 0.0
    for step in range(1, len(tokens)):
        logits = model(input_ids=torch.tensor([tokens[:step]])).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[tokens[step]])
    return total


def test_likelihood_is_the_models_own_and_packs_where_it_can(causal):
    folder, model = causal
    found = untrained(folder)
    # OPT does not tell texts apart by their positions; it is found out.
    assert found.net_.module_.body.packs == (folder.name != "opt")
    assert_allclose(found.score_samples(TEXTS), [loop(model, t) for t in TEXTS], rtol=1e-5)


def test_weights_are_those_of_the_file_and_fit_moves_them(causal):
    folder, model = causal
    at_start = untrained(folder).net_.module_.body.model.state_dict()
    for name, value in model.state_dict().items():
        assert_allclose(at_start[name], value, rtol=1e-6, atol=1e-12, err_msg=name)
    settings = {"max_length": 16, "max_iter": 20, "learning_rate_init": 0.01, "random_state": 0}
    settings["dropout"] = 0.0 if folder.name in WITHOUT_DROPOUT else 0.1
    first, second = (CausalLanguageModel(folder, **settings).fit(TEXTS) for _ in "ab")
    assert first.loss_ < first.loss_curve_[0]
    assert_array_equal(first.score_samples(TEXTS), second.score_samples(TEXTS))


def test_dropout_is_heard_or_refused(causal):
    folder, _ = causal
    model = CausalLanguageModel(folder, max_length=16, max_iter=2, random_state=0).fit(TEXTS)
    plain, asked = model.loss_curve_, model.set_params(dropout=0.3)
    if folder.name in WITHOUT_DROPOUT:
        with pytest.raises(ValueError, match=r"dropout=0\.3 has no place in model="):
            asked.fit(TEXTS)
        assert model.loss_curve_ is plain
    else:  # from the first step on
        assert asked.fit(TEXTS).loss_curve_[0] != plain[0]


def test_an_encoder_without_dropout_has_it_in_front_of_the_head(tmp_path):
    settings = {"num_key_value_heads": 1}
    folder, _ = saved(tmp_path, "llama", transformers.AutoModel, settings)
    model = TransformerClassifier(folder, max_length=16, max_iter=2, random_state=0)
    curves = [model.set_params(dropout=p).fit(TEXTS, LABELS).loss_curve_ for p in (0.0, 0.3)]
    assert curves[0][0] != curves[1][0]


def test_the_string_of_a_special_token_stops(causal):
    folder, _ = causal
    tokenizer = word_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["four"]})
    tokenizer.save_pretrained(folder)
    settings = {"max_length": 16, "max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}
    model = CausalLanguageModel(folder, **settings)
    model.fit(["one"] * 8, ["two four three"] * 8)
    whole, stopped = (model.generate(["one"], temperature=0, stop=s)[0] for s in (None, "four"))
    assert (whole.split(), stopped.split()) == (["two", "three"], ["two"])


def test_tokens_that_only_the_tokenizer_knows(causal, encoder):
    for folder, _ in (causal, encoder):
        tokenizer = word_tokenizer()
        tokenizer.add_tokens(["emoji"])
        tokenizer.save_pretrained(folder)
    texts = [*TEXTS, "one emoji"]
    model = TransformerClassifier(encoder[0], max_length=16, max_iter=1)
    with pytest.raises(ValueError, match="'emoji', a token that was added to the tokenizer"):
        model.fit(texts, [*LABELS, 0])
    with pytest.raises(ValueError, match="'emoji', a token that was added to the tokenizer"):
        model.fit(TEXTS, LABELS).predict(texts)
    with pytest.raises(ValueError, match="'emoji', a token that was added to the tokenizer"):
        CausalLanguageModel(causal[0], max_length=16, max_iter=1).fit(texts)


def test_a_language_model_needs_an_end_of_texts(causal, encoder):
    for folder, _ in (causal, encoder):
        plain = transformers.PreTrainedTokenizerFast(
            tokenizer_object=word_tokenizer().backend_tokenizer, model_max_length=32
        )
        plain.save_pretrained(folder)
    with pytest.raises(ValueError, match="names no token for the end of a text, eos_token"):
        CausalLanguageModel(causal[0], max_length=16).fit(TEXTS)
    assert TransformerClassifier(encoder[0], max_length=16, max_iter=1).fit(TEXTS, LABELS)


def test_bars_of_the_hub_are_left_as_they_were(encoder):
    from huggingface_hub import utils

    for switch in (utils.disable_progress_bars, utils.enable_progress_bars):
        switch()
        before = utils.are_progress_bars_disabled()
        TransformerClassifier(encoder[0], max_length=16, max_iter=0).fit(TEXTS, LABELS)
        assert utils.are_progress_bars_disabled() == before


def test_generators_are_left_alone_where_building_draws(tmp_path):
    folder, _ = saved(tmp_path, "mamba", transformers.AutoModelForCausalLM, {})
    state = torch.get_rng_state()
    model = CausalLanguageModel(folder, max_length=16, max_iter=0).fit(TEXTS)
    pickle.loads(pickle.dumps(model))
    assert torch.equal(state, torch.get_rng_state())


def test_tied_weights_stay_tied(causal):
    folder, reference = causal
    found = CausalLanguageModel(folder, max_length=16, max_iter=2, random_state=0).fit(TEXTS)
    for model in (found, pickle.loads(pickle.dumps(found))):
        inner = model.net_.module_.body.model
        is_tied = inner.get_input_embeddings().weight is inner.get_output_embeddings().weight
        assert is_tied == reference.config.tie_word_embeddings
    assert found.n_parameters_ == sum(p.numel() for p in reference.parameters())


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_weights_are_read_one_after_the_other(tmp_path, quantization, shards, monkeypatch):
    sizes = {"hidden_size": 64, "intermediate_size": 128, **CAUSAL["llama"]}
    auto = transformers.AutoModelForCausalLM
    folder, reference = saved(tmp_path, "llama", auto, sizes)
    if shards > 1:
        (folder / "model.safetensors").unlink()
        reference.save_pretrained(folder, max_shard_size="100KB")
        assert (folder / "model.safetensors.index.json").is_file()
    n_numbers = sum(p.numel() for p in reference.parameters())
    settings = {"r": 1, "quantization": quantization, "random_state": 0}
    base = CausalLanguageModel(folder, max_length=16, max_iter=0, random_state=0)
    whole = LoRAAdapter.from_fitted(clone(base).fit(TEXTS), max_iter=2, **settings).fit(TEXTS)
    expected = whole.score_samples(TEXTS)
    read, alive = [], []

    def alive_numbers():
        return sum(size for reference, size in read if not reference.expired())

    def counted(parameter):
        values = loaded(parameter)
        read.append((StorageWeakRef(values.untyped_storage()), values.numel()))
        alive.append(alive_numbers())
        return values

    for module in ("lora", "quantized_base"):
        monkeypatch.setattr(f"sklearn_ext._torch.{module}.loaded", counted)
    adapter = LoRAAdapter(base, max_iter=2, **settings).fit(TEXTS)
    assert sum(size for _, size in read) > n_numbers  # adapted weights are read twice
    assert max(alive) < 0.2 * n_numbers
    assert alive_numbers() < 0.05 * n_numbers  # norms only
    assert_array_equal(adapter.score_samples(TEXTS), expected)
    restored = pickle.loads(pickle.dumps(adapter))
    assert_array_equal(restored.score_samples(TEXTS), expected)


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_all_kinds_of_models_can_be_read_so(causal, quantization):
    base = CausalLanguageModel(causal[0], max_length=16, max_iter=0, random_state=0)
    settings = {"quantization": quantization, "max_iter": 1, "random_state": 0}
    adapter = LoRAAdapter(base, **settings).fit(TEXTS)
    whole = LoRAAdapter.from_fitted(clone(base).fit(TEXTS), **settings).fit(TEXTS)
    assert_array_equal(adapter.score_samples(TEXTS), whole.score_samples(TEXTS))


@pytest.mark.parametrize("precision", ["auto", "float64"])
def test_encoders_can_be_read_so(encoder, precision):
    fields = {"max_length": 16, "max_iter": 0, "precision": precision, "random_state": 0}
    base = TransformerClassifier(encoder[0], **fields)
    settings = {"quantization": "int8", "max_iter": 1, "random_state": 0}
    adapter = LoRAAdapter(base, gradient_checkpointing=True, **settings).fit(TEXTS, LABELS)
    whole = LoRAAdapter.from_fitted(clone(base).fit(TEXTS, LABELS), **settings)
    whole.fit(TEXTS, LABELS)
    assert adapter.loss_curve_ == whole.loss_curve_
    for model in (adapter, pickle.loads(pickle.dumps(adapter))):
        assert_array_equal(model.predict_proba(TEXTS), whole.predict_proba(TEXTS))


def test_an_adapter_brings_its_head_to_a_base_that_drew_another(encoder, tmp_path):
    fields = {"max_length": 16, "max_iter": 0}
    first, second = (
        TransformerClassifier(encoder[0], **fields, random_state=seed).fit(TEXTS, LABELS)
        for seed in range(2)
    )
    adapter = LoRAAdapter.from_fitted(first, max_iter=1, random_state=0).fit(TEXTS, LABELS)
    adapter.save_adapter(tmp_path)
    loaded = LoRAAdapter.load_adapter(tmp_path, second)
    assert np.abs(first.predict_proba(TEXTS) - second.predict_proba(TEXTS)).max() > 0
    assert_array_equal(loaded.predict_proba(TEXTS), adapter.predict_proba(TEXTS))


def test_a_file_of_another_model_is_refused(tmp_path):
    auto = transformers.AutoModelForCausalLM
    folder, _ = saved(tmp_path, "llama", auto, CAUSAL["llama"])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 24}))
    base = CausalLanguageModel(folder, max_length=16, random_state=0)
    with pytest.raises(ValueError, match="the file is not that of the model"):
        LoRAAdapter(base, quantization="int8").fit(TEXTS)


def test_greedy_text_is_that_of_generate(causal):
    folder, model = causal
    found = untrained(folder).generate(["one", "two three"], temperature=0, max_new_tokens=6)
    for prompt, text in zip(([1, 4], [1, 5, 6]), found, strict=True):
        drawn = model.generate(
            torch.tensor([prompt]), max_new_tokens=6, do_sample=False, pad_token_id=0
        )
        expected = [WORDS[i] for i in drawn[0, len(prompt) :] if i > 2]
        assert text.split() == expected


def test_what_follows_a_prompt_keeps_its_space(tmp_path):
    folder, _ = saved(tmp_path, "llama", transformers.AutoModelForCausalLM, CAUSAL["llama"])
    words = [*WORDS[:4], *(f"▁{word}" for word in WORDS[4:])]
    model = tokenizers.models.WordLevel(dict(zip(words, range(8), strict=True)), "<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    settings = {"max_length": 16, "learning_rate_init": 0.05, "max_iter": 20, "random_state": 0}
    fitted = CausalLanguageModel(folder, **settings).fit(["one two three four"] * 8)
    found = fitted.generate(["one", "one two three", ""], temperature=0, stop=[" four"])
    assert found.tolist() == [" two three", "", "one two three"]


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_text_of_no_tokens_has_a_state(tmp_path, pooling):
    folder, reference = saved(tmp_path, "gpt2", transformers.AutoModel, CAUSAL["gpt2"])
    path = folder / "tokenizer.json"
    definition = json.loads(path.read_text())
    path.write_text(json.dumps({**definition, "post_processor": None}))  # no frame
    model = TransformerClassifier(folder, pooling=pooling, max_length=16, max_iter=1)
    assert np.isfinite(model.fit(TEXTS, LABELS).loss_)
    for texts in ([""], [" ", "one two"]):
        assert np.isfinite(model.predict_proba(texts)).all()
    start = torch.tensor([[1]])
    with torch.no_grad():
        expected = reference(input_ids=start).last_hidden_state[0, 0]
    state = model.set_params(max_iter=0).fit(TEXTS, LABELS).transform([""])[0]
    assert_allclose(state, expected, rtol=1e-4, atol=1e-5)


def test_cached_steps_are_the_uncached(causal):
    body = untrained(causal[0]).net_.module_.body
    tokens = torch.tensor([[1, 4, 5, 6, 7, 4, 5]])
    with torch.no_grad():
        logits, memory = body.step(tokens[:, :2], None)
        for length in range(2, 7):
            torch.testing.assert_close(logits, body(tokens[:, :length])[:, -1], atol=1e-4, rtol=0)
            logits, memory = body.step(tokens[:, length : length + 1], memory)


def test_pickles_need_no_file(causal, tmp_path):
    model = untrained(causal[0])
    data = pickle.dumps(model)
    (causal[0] / "config.json").unlink()
    assert_array_equal(pickle.loads(data).score_samples(TEXTS), model.score_samples(TEXTS))


def test_encoder_states_are_its_own(encoder):
    folder, reference = encoder
    model = TransformerClassifier(
        folder, max_length=16, learning_rate_init=1e-30, max_iter=1, random_state=0
    ).fit(TEXTS, LABELS)
    for text, found in zip(TEXTS, model.transform(TEXTS), strict=True):
        tokens = torch.tensor([[1, *(WORDS.index(word) for word in text.split()), 2]])
        with torch.no_grad():
            states = reference(input_ids=tokens).last_hidden_state[0]
        assert_allclose(found, states.mean(0).numpy(), rtol=1e-4, atol=1e-5)


def test_encoder_is_trained_as_a_whole_and_repeats(encoder, capfd):
    state = torch.get_rng_state()
    settings = {"max_length": 16, "max_iter": 100, "learning_rate_init": 0.005, "random_state": 0}
    y = ["three" in text for text in TEXTS]
    first, second = (TransformerClassifier(encoder[0], **settings).fit(TEXTS, y) for _ in "ab")
    assert first.score(TEXTS, y) == 1.0
    assert_array_equal(first.predict_proba(TEXTS), second.predict_proba(TEXTS))
    returned = pickle.loads(pickle.dumps(first))
    assert_array_equal(returned.predict_proba(TEXTS), first.predict_proba(TEXTS))
    assert torch.equal(state, torch.get_rng_state())
    assert capfd.readouterr() == ("", "")


def test_a_new_head_is_drawn_as_torch_draws_one(encoder):
    texts, labels = TEXTS[:1] * 600, [str(label) for label in range(300)] * 2
    model = TransformerClassifier(encoder[0], max_length=16, max_iter=0).fit(texts, labels)
    module = model.net_.module_
    with torch.random.fork_rng():
        drawn = torch.nn.Linear(module.encoder.width, 300)
    found, expected = (head.weight.detach().std().item() for head in (module.head, drawn))
    assert_allclose(found, expected, rtol=0.1)
    states = torch.ones(1, module.encoder.width)
    assert torch.equal(module.train().dropout(states), states)


@pytest.mark.parametrize("kind", OTHER_ENCODERS)
def test_encoders_without_fused_attention(tmp_path, kind):
    folder, whole = saved(tmp_path, kind, transformers.AutoModel, OTHER_ENCODERS[kind])
    reference = whole.encoder if kind == "t5" else whole
    settings = {"max_length": 16, "dropout": 0.2, "learning_rate_init": 0.005, "random_state": 0}
    model = TransformerClassifier(folder, max_iter=0, **settings).fit(TEXTS, LABELS)
    with torch.no_grad():
        states = reference(input_ids=torch.tensor([[1, 4, 5, 2]])).last_hidden_state[0]
    assert_allclose(model.transform(["one two"])[0], states.mean(0), rtol=1e-4, atol=1e-5)
    state = torch.get_rng_state()
    first, second = (model.set_params(max_iter=3).fit(TEXTS, LABELS).loss_curve_ for _ in "ab")
    assert first == second
    assert torch.equal(state, torch.get_rng_state())
    model.set_params(dropout=0.0).fit(TEXTS, LABELS)
    assert model.loss_curve_ != first


def upper_adapters(base, **params):
    """Adapters of the upper of two layers, without and with a cache."""
    settings = {"target_modules": r".*(layers?|h)\.1\..*", "r": 2, "max_iter": 5, "batch_size": 4}
    return [
        LoRAAdapter.from_fitted(base, cache_frozen=c, random_state=0, **settings | params)
        for c in (False, True)
    ]


@pytest.mark.parametrize("params", [{"bias": "lora_only"}, {"quantization": "int8"}])
def test_kept_states_of_lower_layers_change_nothing(causal, params):
    base = untrained(causal[0], dropout=0.0 if causal[0].name in WITHOUT_DROPOUT else 0.2)
    plain, cached = (a.fit(TEXTS) for a in upper_adapters(base, **params))
    assert_allclose(plain.loss_curve_, cached.loss_curve_, rtol=1e-5)
    assert_allclose(plain.score_samples(TEXTS), cached.score_samples(TEXTS), rtol=1e-4)
    assert plain.loss_curve_[-1] < plain.loss_curve_[0]


@pytest.mark.parametrize(
    ("kind", "targets"),
    [("olmo", r".*layers\.1\..*"), ("olmo", ["lm_head"]), ("llama", ["lm_head"])],
)
def test_kept_states_of_a_base_that_is_quantised_all_over(tmp_path, kind, targets):
    # OLMo has neither biases nor parameters of its norms: nothing stays whole.
    settings = {"num_key_value_heads": 2, "tie_word_embeddings": False}
    auto = transformers.AutoModelForCausalLM
    base = untrained(saved(tmp_path, kind, auto, settings)[0])
    fields = {"target_modules": targets, "quantization": "int8"}
    plain, cached = (a.fit(TEXTS) for a in upper_adapters(base, **fields))
    assert_allclose(plain.loss_curve_, cached.loss_curve_, rtol=1e-5)
    assert plain.loss_curve_[-1] < plain.loss_curve_[0]


def test_kept_states_of_an_encoder_are_those_of_the_whole(encoder, monkeypatch):
    settings = {"max_length": 16, "max_iter": 0, "dropout": 0.0, "random_state": 0}
    base = TransformerClassifier(encoder[0], **settings).fit(TEXTS, LABELS)
    plain, cached = upper_adapters(base, modules_to_save=["head"])
    cached.fit(TEXTS, LABELS)
    monkeypatch.setattr(LoRAModule, "cut", None)
    plain.fit(TEXTS, LABELS)
    assert_allclose(plain.loss_curve_, cached.loss_curve_, rtol=1e-5)
    assert_allclose(plain.predict_proba(TEXTS), cached.predict_proba(TEXTS), rtol=1e-4)


@pytest.mark.parametrize(
    ("targets", "trained_whole"),
    [
        ("all-linear", True),
        (["query"], True),
        (r".*layers?\.1\..*", True),
        (["head", "query"], False),
    ],
)
def test_a_new_head_is_trained_whole_unless_it_is_named(tmp_path, targets, trained_whole):
    folder, _ = saved(tmp_path / "bert", "bert", transformers.AutoModel, {})
    base = TransformerClassifier(folder, max_length=16, max_iter=0, random_state=0)
    adapter = LoRAAdapter(base, target_modules=targets, max_iter=1, random_state=0)
    module = adapter.fit(TEXTS, LABELS).estimator_.net_.module_
    assert ("head/weight" in module.whole) is trained_whole
    assert ("head/weight" in module.low_rank) is not trained_whole
    adapter.save_adapter(tmp_path / "adapter")
    found = LoRAAdapter.load_adapter(tmp_path / "adapter", base.fit(TEXTS, LABELS))
    assert_allclose(found.predict_proba(TEXTS), adapter.predict_proba(TEXTS), rtol=1e-5)


@torch.no_grad()
def disturbed(adapted):
    """Give what an adapter of PEFT trains other values."""
    generator = torch.Generator().manual_seed(0)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return adapted.eval()


@torch.no_grad()
def logits_of(model):
    return model(input_ids=torch.tensor([[1, 4, 5, 6]])).logits


@pytest.mark.filterwarnings("ignore")  # PEFT's own
def test_peft_and_a_language_model(causal, tmp_path):
    peft = pytest.importorskip("peft")
    folder, reference = causal
    base = CausalLanguageModel(folder, max_length=16, max_iter=0).fit(TEXTS)
    settings = {"r": 2, "max_iter": 2, "learning_rate_init": 0.05, "random_state": 0}
    adapter = LoRAAdapter.from_fitted(base, **settings).fit(TEXTS)
    adapter.save_adapter(tmp_path / "ours")
    auto = transformers.AutoModelForCausalLM
    theirs = peft.PeftModel.from_pretrained(auto.from_pretrained(folder), tmp_path / "ours").eval()
    ours = adapter.merge().net_.module_.body.model
    torch.testing.assert_close(logits_of(theirs), logits_of(ours), rtol=1e-4, atol=1e-5)
    assert (logits_of(theirs) - logits_of(reference)).abs().max() > 1e-2
    config = peft.LoraConfig(r=2, target_modules="all-linear")
    theirs = disturbed(peft.get_peft_model(auto.from_pretrained(folder), config))
    theirs.save_pretrained(tmp_path / "theirs")
    ours = LoRAAdapter.load_adapter(tmp_path / "theirs", base).merge().net_.module_.body.model
    torch.testing.assert_close(logits_of(theirs), logits_of(ours), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # PEFT's own
def test_peft_and_an_encoder(tmp_path):
    peft = pytest.importorskip("peft")
    folder, _ = saved(tmp_path / "bert", "bert", transformers.AutoModel, {})
    base = TransformerClassifier(folder, max_length=16, max_iter=0, random_state=0)
    base.fit(TEXTS, LABELS)
    adapter = LoRAAdapter.from_fitted(base, r=2, max_iter=2, random_state=0).fit(TEXTS, LABELS)
    adapter.save_adapter(tmp_path / "ours")
    found = LoRAAdapter.load_adapter(tmp_path / "ours", base)  # with the head
    assert_array_equal(found.predict_proba(TEXTS), adapter.predict_proba(TEXTS))
    encoder = transformers.AutoModel.from_pretrained(folder)
    theirs = peft.PeftModel.from_pretrained(encoder, tmp_path / "ours")
    tokens = torch.tensor([[1, 4, 5, 2]])
    with torch.no_grad():
        states = theirs.eval()(input_ids=tokens).last_hidden_state[0]
    assert_allclose(adapter.transform(["one two"])[0], states.mean(0), rtol=1e-4, atol=1e-5)
    # Inside of another model, whose names begin with that of the encoder.
    auto = transformers.AutoModelForSequenceClassification
    inside = peft.LoraConfig(r=2, target_modules=["query"])
    theirs = disturbed(peft.get_peft_model(auto.from_pretrained(folder), inside))
    theirs.save_pretrained(tmp_path / "theirs")
    found = LoRAAdapter.load_adapter(tmp_path / "theirs", base)
    with torch.no_grad():
        states = theirs.base_model.model.bert(input_ids=tokens).last_hidden_state[0]
    assert_allclose(found.transform(["one two"])[0], states.mean(0), rtol=1e-4, atol=1e-5)
    headed = peft.LoraConfig(r=2, target_modules=["query"], task_type="SEQ_CLS")
    theirs = peft.get_peft_model(auto.from_pretrained(folder), headed)
    theirs.save_pretrained(tmp_path / "headed")
    with pytest.raises(ValueError, match=r"change of 'classifier\."):
        LoRAAdapter.load_adapter(tmp_path / "headed", base)


def test_a_new_head_learns_faster_than_what_is_trained_already(tmp_path):
    folder, _ = saved(tmp_path / "bert", "bert", transformers.AutoModel, {})
    settings = {"max_length": 16, "learning_rate_init": 1e-3, "random_state": 0}
    model = TransformerClassifier(folder, max_iter=1, **settings).fit(TEXTS, LABELS)
    rates, module = rates_of(model), model.net_.module_
    of_head = {name for name, rate in rates.items() if rate == pytest.approx(0.06)}
    assert of_head == {"head.weight", "head.bias"}
    assert {rates[name] for name in set(rates) - of_head} == {1e-3}
    compiled = torch.compile(module, backend="eager")
    assert sum(compiled.rate_ratio(name) > 1 for name, _ in compiled.named_parameters()) == 2


def rates_of(model):
    """Learning rate that each trained parameter started from."""
    groups, module = model.net_.optimizer_.param_groups, model.net_.module_
    rate_of = {id(p): group["initial_lr"] for group in groups for p in group["params"]}
    return {name: rate_of[id(p)] for name, p in module.named_parameters()}


@pytest.mark.parametrize(
    "modules_to_save", ["auto", ["head"], ["head", "encoder.model.embeddings"]]
)
def test_a_new_head_learns_faster_than_low_rank_changes(tmp_path, modules_to_save):
    folder, _ = saved(tmp_path / "bert", "bert", transformers.AutoModel, {})
    base = TransformerClassifier(folder, max_iter=0, max_length=16).fit(TEXTS, LABELS)
    settings = {"target_modules": ["query"], "modules_to_save": modules_to_save}
    adapter = LoRAAdapter.from_fitted(
        base, loraplus_lr_ratio=4.0, max_iter=1, learning_rate_init=1e-3, **settings
    )
    rates = rates_of(adapter.fit(TEXTS, LABELS).estimator_)
    of_head = {name for name, rate in rates.items() if rate == pytest.approx(0.003)}
    assert of_head == {"whole.head/weight", "whole.head/bias"}
    of_b = {name for name, rate in rates.items() if rate == pytest.approx(0.004)}
    assert of_b == {name for name in rates if name.endswith(".weight_B")}
    assert {rates[name] for name in set(rates) - of_head - of_b} == {1e-3}


def test_a_head_of_low_rank_learns_as_fast_as_other_changes(tmp_path):
    folder, _ = saved(tmp_path / "bert", "bert", transformers.AutoModel, {})
    base = TransformerClassifier(folder, max_iter=0, max_length=16).fit(TEXTS, LABELS)
    adapter = LoRAAdapter.from_fitted(base, target_modules=["head", "query"], max_iter=1)
    assert len(set(rates_of(adapter.fit(TEXTS, LABELS).estimator_).values())) == 1


@pytest.mark.parametrize(
    ("repeats", "batch_size", "epochs"),
    [(4, "auto", 48), (4, 39, 10), (4, 4, 10), (16, 2, 4), (16, 1, 3)],
)
def test_few_texts_are_seen_more_often(tmp_path, repeats, batch_size, epochs):
    folder, _ = saved(tmp_path / "bert", "bert", transformers.AutoModel, {"num_hidden_layers": 1})
    model = TransformerClassifier(folder, max_length=8, batch_size=batch_size, random_state=0)
    assert model.fit(TEXTS * repeats, LABELS * repeats).n_iter_ == epochs
    assert model.set_params(max_iter=2).fit(["one", "two"], [0, 1]).n_iter_ == 2


def test_the_lower_part_can_be_asked_first(encoder):
    settings = {"max_length": 16, "max_iter": 0, "dropout": 0.0, "random_state": 0}
    base = TransformerClassifier(encoder[0], **settings).fit(TEXTS, LABELS).net_.module_
    upper = LoRASettings(target_modules=r".*layers?\.1\..*")
    module = LoRAModule(base, upper, torch.Generator().manual_seed(0)).eval()
    inputs = {"values": torch.tensor([[1, 3, 4, 2]]), "lengths": torch.tensor([4])}
    parts = module.above(inputs, module.below(inputs))
    torch.testing.assert_close(parts, base.members(inputs))


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("bert", {"target_modules": ["word_embeddings", "layer.1"]}),
        ("bert", {"modules_to_save": ["embeddings.LayerNorm"]}),
        ("albert", {"target_modules": ["albert_layers"]}),  # one layer, called several times
    ],
)
def test_models_without_a_frozen_lower_part_are_an_error(tmp_path, kind, params):
    sizes = {"embedding_size": 8} if kind == "albert" else {}
    folder, _ = saved(tmp_path / kind, kind, transformers.AutoModel, sizes)
    base = TransformerClassifier(folder, max_length=16, max_iter=0, random_state=0)
    _, cached = upper_adapters(base.fit(TEXTS, LABELS), **params)
    with pytest.raises(ValueError, match="cache_frozen=True needs layers below all"):
        cached.fit(TEXTS, LABELS)


def test_tables_go_in_too(encoder):
    X = np.arange(12.0).reshape(6, 2)
    model = TransformerClassifier(encoder[0], max_length=16, max_iter=1, random_state=0)
    found = model.fit(X, [0, 1] * 3).predict_proba(X)
    assert found.dtype == np.float64


@pytest.mark.parametrize("kind", [CausalLanguageModel, TransformerClassifier])
@pytest.mark.parametrize("name", ["no/such/path", "missing", "empty", "torn", "other.gguf"])
def test_models_that_cannot_be_read_are_named(tmp_path, kind, name):
    for folder in ("empty", "torn"):
        (tmp_path / folder).mkdir()
    config = transformers.AutoConfig.for_model("gpt2", n_embd=8, n_layer=1, n_head=1, vocab_size=8)
    config.save_pretrained(tmp_path / "torn")  # without weights
    word_tokenizer().save_pretrained(tmp_path / "torn")
    (tmp_path / "other.gguf").write_text("not at all")
    model = name if name == "no/such/path" else str(tmp_path / name)
    with pytest.raises(
        ValueError, match=r"Pass a local folder with config.json.*gguf.*network"
    ) as e:
        kind(model, max_length=16).fit(TEXTS, LABELS if kind is TransformerClassifier else None)
    assert str(e.value).startswith(f"model={model!r} cannot be read: ")


def test_an_encoder_is_no_language_model(tmp_path):
    auto = transformers.AutoModelForMaskedLM
    folder, _ = saved(tmp_path, "bert", auto, {})
    with pytest.raises(ValueError, match=r"is no causal language model.*TransformerClassifier"):
        CausalLanguageModel(folder, max_length=16, max_iter=0).fit(TEXTS)
    base = CausalLanguageModel(folder, max_length=16, random_state=0)
    with pytest.raises(ValueError, match="is no causal language model"):
        LoRAAdapter(base, quantization="int8").fit(TEXTS)


@pytest.mark.parametrize("what", ["a weight", "the head", "the end of a file"])
def test_what_is_missing_in_a_folder_is_told(tmp_path, what):
    auto = transformers.AutoModel if what == "the head" else transformers.AutoModelForCausalLM
    folder, _ = saved(tmp_path, "llama", auto, {})
    weights, name = folder / "model.safetensors", "model.layers.1.mlp.up_proj.weight"
    if what == "a weight":
        stored = load_file(weights)
        del stored[name]
        save_file(stored, weights, {"format": "pt"})
    elif what == "the end of a file":
        weights.write_bytes(weights.read_bytes()[:-9])
    told = {
        "a weight": f"its weights {name} are not in the files",
        "the head": "its weights lm_head.weight are not in the files",
        "the end of a file": "its weights are torn",
    }
    state = torch.get_rng_state()
    for adapts in (False, True):
        model = CausalLanguageModel(folder, max_length=16, random_state=0)
        with pytest.raises(ValueError, match=told[what]):
            (LoRAAdapter(model, quantization="int8") if adapts else model).fit(TEXTS)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("what", ["cut", "missing", "index", "other shard"])
def test_what_is_wrong_with_shards_is_told(tmp_path, what):
    sizes = {"hidden_size": 64, "intermediate_size": 128, **CAUSAL["llama"]}
    folder, model = saved(tmp_path, "llama", transformers.AutoModelForCausalLM, sizes)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="100KB")
    shards, index = sorted(folder.glob("model-*")), folder / "model.safetensors.index.json"
    if what == "cut":
        shards[0].write_bytes(shards[0].read_bytes()[:-9])
    elif what == "missing":
        shards[0].unlink()
    elif what == "index":
        index.write_text("{}")
    else:
        stored = json.loads(index.read_text())
        places = stored["weight_map"]
        stored["weight_map"] = dict.fromkeys(places, shards[0].name)
        index.write_text(json.dumps(stored))
    base = CausalLanguageModel(folder, max_length=16, random_state=0)
    for quantization in ("int8", None) if what != "other shard" else ("int8",):
        adapter = LoRAAdapter(base, quantization=quantization)
        with pytest.raises(ValueError, match="cannot be read: "):
            adapter.fit(TEXTS)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_a_folder_without_a_tokenizer_is_told(tmp_path, kind):
    folder, _ = saved(tmp_path, kind, transformers.AutoModel, {})
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ValueError, match="cannot be read: it has no vocabulary"):
        TransformerClassifier(folder, max_length=16).fit(TEXTS, LABELS)


def test_more_tokens_than_a_model_sees_are_refused(encoder):
    with pytest.raises(ValueError, match="max_length=256 is more than the 32 tokens"):
        TransformerClassifier(encoder[0]).fit(TEXTS, LABELS)


def test_positions_that_are_no_texts(tmp_path):
    folder, _ = saved(tmp_path / "roberta", "roberta", transformers.AutoModel, {"pad_token_id": 1})
    model = TransformerClassifier(model=folder, max_length=39, max_iter=0)
    with pytest.raises(ValueError, match="max_length=39 is more than the 38 tokens"):
        relaxed(folder, model).fit(TEXTS, LABELS)
    model.set_params(max_length=38).fit(["one " * 60] * 4, [0, 1] * 2)
    folder, _ = saved(tmp_path / "gpt2", "gpt2", transformers.AutoModelForCausalLM, {})
    with pytest.raises(ValueError, match="max_length=33 is more than the 32 tokens"):
        relaxed(folder, CausalLanguageModel(model=folder, max_length=33)).fit(TEXTS)


def relaxed(folder, model):
    """Let the tokenizer of a folder know no limit."""
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 10**9}))
    return model


@pytest.mark.parametrize("kind", ["mamba", "openai-gpt"])
def test_models_without_a_cache_go_on_too(tmp_path, kind):
    settings = {"mamba": {"state_size": 4}, "openai-gpt": {"n_positions": 32}}[kind]
    folder, source = saved(tmp_path / kind, kind, transformers.AutoModelForCausalLM, settings)
    tokens = [1, 4, 5]
    with torch.no_grad():
        for _ in range(4):
            tokens.append(int(source(torch.tensor([tokens])).logits[0, -1].argmax()))
            if tokens[-1] == 2:
                break
    expected = untrained(folder).tokenizer_.decode(tokens[3:])
    (drawn,) = untrained(folder).generate(["one two"], temperature=0, max_new_tokens=4)
    assert drawn.split() == expected.split()


def test_texts_of_a_model_that_sees_padding(tmp_path):
    folder, _ = saved(tmp_path / "fnet", "fnet", transformers.AutoModel, {})
    model = TransformerClassifier(model=folder, max_length=16, max_iter=1, random_state=0)
    model.fit(TEXTS, LABELS)
    for found in (model, pickle.loads(pickle.dumps(model))):
        alone = np.vstack([found.predict_proba([text]) for text in TEXTS])
        assert_allclose(found.predict_proba(TEXTS), alone, atol=1e-6)


def test_completions_have_no_space_of_a_beginning(tmp_path):
    folder, _ = saved(
        tmp_path / "llama", "llama", transformers.AutoModelForCausalLM, CAUSAL["llama"]
    )
    pieces = ["<pad>", "<s>", "</s>", "<unk>", "\u2581", "o", "n", "e"]
    inner = tokenizers.Tokenizer(
        tokenizers.models.BPE(dict(zip(pieces, range(8), strict=True)), [], unk_token="<unk>")
    )
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="always")
    inner.decoder = tokenizers.decoders.Metaspace(prepend_scheme="always")
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **names).save_pretrained(folder)
    tokenizer = untrained(folder).tokenizer_
    assert_array_equal(tokenizer.encode(["one"])[0], [4, 5, 6, 7])
    assert_array_equal(tokenizer.encode_behind(["one"])[0], [5, 6, 7])
    assert_array_equal(tokenizer.encode_behind([" one"])[0], [4, 5, 6, 7])
    assert_array_equal(tokenizer.encode_behind(["one one", ""])[0], [5, 6, 7, 4, 5, 6, 7])
    for encode in (tokenizer.encode, tokenizer.encode_behind):
        with pytest.raises(ValueError, match="half of a surrogate pair"):
            encode(["one", "\ud800"])


# PEFT's files of what is not adapted, or not as here


def peft_files(folder, source, **config):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, init_lora_weights=False, **config)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about tied weights, and a name that is not on the hub
        torch.manual_seed(0)
        model = peft.get_peft_model(source, config)
        model.train(False).save_pretrained(folder)
    return model


@pytest.mark.parametrize("targets", [["q_proj", "lm_head"], ["embed_tokens"], ["lm_head"]])
def test_peft_writes_heads_and_tables_again(tmp_path, targets):
    settings = CAUSAL["llama"] | {"tie_word_embeddings": False}
    folder, source = saved(tmp_path / "llama", "llama", transformers.AutoModelForCausalLM, settings)
    base = untrained(folder)
    theirs = peft_files(tmp_path / "adapter", source, target_modules=targets)
    merged = LoRAAdapter.load_adapter(tmp_path / "adapter", base).merge()
    assert_allclose(logits_of(merged.net_.module_.body.model), logits_of(theirs), atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": "all-linear"},
        {"target_modules": ["query"], "bias": "all"},
        {"target_modules": ["query"], "modules_to_save": ["pooler"]},
    ],
)
def test_peft_and_a_pooler_that_nothing_needs(tmp_path, config):
    folder, source = saved(tmp_path / "bert", "bert", transformers.AutoModel, {})
    base = TransformerClassifier(model=folder, max_length=16, max_iter=0, random_state=0)
    base.fit(TEXTS, LABELS)
    theirs = peft_files(tmp_path / "adapter", source, **config)
    merged = LoRAAdapter.load_adapter(tmp_path / "adapter", base).merge()
    tokens = torch.tensor([[1, 4, 5, 6]])
    with torch.no_grad():
        found = merged.net_.module_.encoder(tokens, torch.ones_like(tokens, dtype=torch.bool))
        assert_allclose(found, theirs(tokens).last_hidden_state, atol=1e-5)


@pytest.mark.parametrize("layer", ["wte", "lm_head"])
def test_tied_weights_that_are_trained_whole_are_for_no_other(tmp_path, layer):
    peft = pytest.importorskip("peft")
    folder, source = saved(tmp_path / "gpt2", "gpt2", transformers.AutoModelForCausalLM, {})
    base, settings = untrained(folder), {"target_modules": ["c_attn"], "modules_to_save": [layer]}
    ours = LoRAAdapter.from_fitted(base, r=2, max_iter=1, random_state=0, **settings).fit(TEXTS)
    ours.save_adapter(tmp_path / "ours")
    again = LoRAAdapter.load_adapter(tmp_path / "ours", base)
    assert_array_equal(again.score_samples(TEXTS), ours.score_samples(TEXTS))
    with pytest.raises(KeyError, match="LORA_OF_SKLEARN_EXT"):
        peft.PeftModel.from_pretrained(source, tmp_path / "ours")
    peft_files(tmp_path / "theirs", source, fan_in_fan_out=True, **settings)
    with pytest.raises(ValueError, match="tied, and is trained in one of its places there"):
        LoRAAdapter.load_adapter(tmp_path / "theirs", base)
