"""Files of adapters: what is written here PEFT computes the same with, and the reverse."""

import copy
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from sklearn_ext._torch.adapter_files import read_adapter, tensors_into, write_adapter  # noqa: E402
from sklearn_ext._torch.lora import LoRAModule  # noqa: E402
from sklearn_ext._torch.low_rank import LoRASettings  # noqa: E402
from sklearn_ext._torch.random import make_generator  # noqa: E402

nn = torch.nn


class Layers(nn.Module):
    """A layer of each kind that PEFT knows."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.narrow = nn.Conv1d(6, 5, 3)
        self.wide = nn.Conv2d(1, 4, (3, 2))
        self.middle = nn.Linear(4, 7)
        self.output = nn.Linear(7, 3)

    def forward(self, tokens):
        values = self.narrow(self.table(tokens).mT).unsqueeze(1)
        return self.output(self.middle(self.wide(values).mean((2, 3))).tanh())


def make_base():
    torch.manual_seed(0)
    return Layers().eval()


def bert():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=20,
        max_position_embeddings=12,
        num_labels=3,
        initializer_range=0.3,  # or attention would not feel its weights
    )
    return transformers.BertForSequenceClassification(config).eval()


def gpt():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=30, n_positions=12, n_embd=16, n_layer=2, n_head=2, n_inner=20
    )
    return transformers.GPT2LMHeadModel(config).eval()


TOKENS = torch.from_numpy(np.random.default_rng(0).integers(0, 11, size=(4, 9)))


def outputs(module):
    with torch.no_grad():
        found = module(TOKENS)
    return getattr(found, "logits", found)


def disturbed(module, seed=0):
    """Give every trained parameter another value, as training does."""
    generator = make_generator(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return module


CASES = {
    "every layer": (make_base, {"target_modules": ["table", "narrow", "wide", "middle", "output"]}),
    "bert": (bert, {"target_modules": ["query", "value"], "modules_to_save": ["classifier"]}),
    "gpt": (gpt, {"target_modules": ["c_attn", "c_fc", "attn.c_proj"]}),
    "dora": (bert, {"target_modules": ["query", "dense"], "use_dora": True}),
    "scaled": (bert, {"target_modules": ["query"], "use_rslora": True}),
    "biases": (bert, {"target_modules": ["query"], "bias": "lora_only"}),
    "biases and a head": (
        bert,
        {"target_modules": ["query"], "bias": "lora_only", "modules_to_save": ["classifier"]},
    ),
    "all biases and a head": (
        bert,
        {"target_modules": ["query"], "bias": "all", "modules_to_save": ["classifier"]},
    ),
    "pissa": (bert, {"target_modules": ["query"], "init_lora_weights": "pissa"}),
    "scaled pissa": (
        bert,
        {"target_modules": ["query"], "init_lora_weights": "pissa", "use_rslora": True},
    ),
}
every_case = pytest.mark.parametrize("case", CASES)


def make(case):
    build, fields = CASES[case]
    base, settings = build(), LoRASettings(r=2, lora_alpha=6, **fields)
    return base, settings, disturbed(LoRAModule(base, settings, make_generator(0)).eval())


def read(directory, base):
    stored = read_adapter(directory, base)
    module = LoRAModule(base, LoRASettings(**stored.settings), make_generator(1)).eval()
    tensors_into(module, stored.tensors)
    return module


@every_case
@pytest.mark.filterwarnings("ignore")  # PEFT and transformers warn of their own ways
def test_peft_computes_the_same_with_what_is_written_here(case, tmp_path):
    peft = pytest.importorskip("peft")
    base, settings, module = make(case)
    expected = outputs(module)
    write_adapter(module, settings, tmp_path, buffers={}, notes={})
    loaded = peft.PeftModel.from_pretrained(copy.deepcopy(base), tmp_path).eval()
    assert (outputs(base) - expected).abs().max() > 1e-3
    torch.testing.assert_close(outputs(loaded), expected, rtol=1e-5, atol=1e-6)


@every_case
@pytest.mark.filterwarnings("ignore")
def test_what_peft_writes_is_read_here(case, tmp_path):
    peft = pytest.importorskip("peft")
    build, fields = CASES[case]
    base = build()
    config = peft.LoraConfig(r=2, lora_alpha=6, **fields)
    theirs = disturbed(peft.get_peft_model(copy.deepcopy(base), config).eval(), seed=3)
    theirs.save_pretrained(tmp_path)
    module = read(tmp_path, base)
    atol = 1e-5 if "pissa" in case else 1e-6  # both decompose the weights of the base
    torch.testing.assert_close(outputs(module), outputs(theirs), rtol=1e-5, atol=atol)


@every_case
def test_what_is_written_here_is_read_here(case, tmp_path):
    base, settings, module = make(case)
    write_adapter(module, settings, tmp_path / "new" / "one", buffers={}, notes={"first": 1})
    again = read(tmp_path / "new" / "one", base)
    torch.testing.assert_close(outputs(again), outputs(module), rtol=1e-5, atol=1e-6)
    assert read_adapter(tmp_path / "new" / "one", base).notes == {"first": 1}


def without(directory, layer):
    """Take the tensors of a layer out of a file, and say whether there were some."""
    path = directory / "adapter_model.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    kept = {name: t for name, t in tensors.items() if f".{layer}.lora_" not in name}
    save_file(kept, path, metadata)
    return len(kept) < len(tensors)


@every_case
@pytest.mark.parametrize("notes", [{}, {"own": 1}])
def test_a_file_that_lacks_a_layer_is_refused(case, notes, tmp_path):
    base, settings, module = make(case)
    write_adapter(module, settings, tmp_path, buffers={}, notes=notes)
    layer = list(module.low_rank)[-1].removesuffix("/weight").replace("/", ".")
    assert without(tmp_path, layer)
    with pytest.raises(ValueError, match=rf"no change of {layer}, but target_modules"):
        read_adapter(tmp_path, base)


def long():
    """So many layers that PEFT shortens the list of their names."""
    torch.manual_seed(0)
    pairs = [nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)}) for _ in range(24)]
    return nn.ModuleDict({"start": nn.Embedding(11, 4), "blocks": nn.ModuleList(pairs)}).eval()


OF_PEFT = {
    "all linear": (bert, {"target_modules": "all-linear"}),
    "all linear of gpt": (gpt, {"target_modules": "all-linear"}),
    "all linear of many": (long, {"target_modules": "all-linear"}),
    "half of many": (long, {"target_modules": [f"blocks.{i}.a" for i in range(24)]}),
    "embeddings": (bert, {"target_modules": ["word_embeddings", "key"]}),
    "every kind": (make_base, {"target_modules": ["table", "narrow", "wide", "output"]}),
    "expression": (bert, {"target_modules": r".*\.1\..*(query|dense)"}),
    "a block": (bert, {"target_modules": ["query", "dense"], "layers_to_transform": 1}),
    "blocks of a list": (
        bert,
        {"target_modules": ["key"], "layers_to_transform": [0], "layers_pattern": ["layer"]},
    ),
    "blocks at the top": (
        long,
        {"target_modules": ["a"], "layers_to_transform": [3, 5], "layers_pattern": "blocks"},
    ),
    "but some": (bert, {"target_modules": ["dense"], "exclude_modules": ["pooler.dense"]}),
    "but an expression": (
        bert,
        {"target_modules": ["query", "key"], "exclude_modules": r".*layer\.0.*key"},
    ),
    "a head": (bert, {"target_modules": ["dense"], "modules_to_save": ["pooler", "classifier"]}),
    "a head of the list": (
        bert,
        {"target_modules": ["value", "classifier"], "modules_to_save": ["classifier"]},
    ),
    "a task": (bert, {"target_modules": "all-linear", "task_type": "SEQ_CLS"}),
    "dora": (gpt, {"target_modules": ["c_proj"], "use_dora": True}),
}


@pytest.mark.parametrize("case", OF_PEFT)
@pytest.mark.filterwarnings("ignore")
def test_whatever_layers_peft_chooses_are_read_and_none_may_lack(case, tmp_path):
    peft = pytest.importorskip("peft")
    build, fields = OF_PEFT[case]
    base = build()
    theirs = peft.get_peft_model(copy.deepcopy(base), peft.LoraConfig(r=2, **fields))
    disturbed(theirs).save_pretrained(tmp_path)
    own = theirs.base_model.model
    kind = peft.tuners.lora.LoraLayer
    layers = [name for name, part in own.named_modules() if isinstance(part, kind)]
    stored = read_adapter(tmp_path, base)
    assert stored.settings["target_modules"] == [f"{layer}.weight" for layer in sorted(layers)]
    if build is not long:
        outer = theirs.eval()
        torch.testing.assert_close(outputs(read(tmp_path, base)), outputs(outer))
    assert without(tmp_path, layers[0])
    with pytest.raises(ValueError, match=rf"no change of {layers[0]}, but"):
        read_adapter(tmp_path, base)


@pytest.mark.filterwarnings("ignore")
def test_tables_that_peft_leaves_out_are_noticed(tmp_path):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=["table", "output"], init_lora_weights="pissa")
    theirs = peft.get_peft_model(make_base(), config)
    config.init_lora_weights = True
    theirs.save_pretrained(tmp_path / "start")
    config.init_lora_weights = "pissa"
    disturbed(theirs).save_pretrained(
        tmp_path / "end", path_initial_model_for_weight_conversion=str(tmp_path / "start")
    )
    with pytest.raises(ValueError, match=r"no change of table, but target_modules"):
        read_adapter(tmp_path / "end", make_base())


@pytest.mark.parametrize("targets", [["query"], r"bert\.encoder\..*\.query"])
@pytest.mark.filterwarnings("ignore")
def test_names_in_a_model_with_a_head_are_found_in_one_without(targets, tmp_path):
    peft = pytest.importorskip("peft")
    theirs = peft.get_peft_model(bert(), peft.LoraConfig(r=2, target_modules=targets))
    theirs.save_pretrained(tmp_path)
    base = nn.ModuleDict({"inner": bert().bert})
    stored = read_adapter(tmp_path, base, root="inner")
    names = [f"inner.encoder.layer.{i}.attention.self.query.weight" for i in range(2)]
    assert stored.settings["target_modules"] == names
    assert without(tmp_path, "layer.1.attention.self.query")
    with pytest.raises(ValueError, match=r"no change of encoder\.layer\.1\..*\.query, but"):
        read_adapter(tmp_path, base, root="inner")


@pytest.mark.filterwarnings("ignore")
def test_peft_adapts_no_other_layers_of_the_same_ending(tmp_path):
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    base = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), nn.Linear(3, 3))
    settings = LoRASettings(r=2, target_modules=r"1")
    module = disturbed(LoRAModule(base, settings, make_generator(0)).eval())
    write_adapter(module, settings, tmp_path, buffers={}, notes={})
    loaded = peft.PeftModel.from_pretrained(copy.deepcopy(base), tmp_path).eval()
    assert isinstance(loaded.base_model.model[0][1], nn.Linear)
    inputs = torch.eye(3)
    torch.testing.assert_close(loaded(inputs), module(inputs))


class Unlike(nn.Module):
    """Layers whose change is another one in PEFT."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.grouped = nn.Conv1d(6, 4, 3, groups=2)
        self.tied = nn.Linear(6, 11, bias=False)
        self.tied.weight = self.table.weight
        self.attention = nn.MultiheadAttention(4, 1, batch_first=True)

    def forward(self, tokens):
        states = self.grouped(self.table(tokens).mT).mT
        states = self.attention(states, states, states)[0]
        return self.tied(torch.cat([states, states[..., :2]], -1)).mean(1)


@pytest.mark.parametrize(
    ("target", "of_peft"),
    [("table", {}), ("grouped", {}), ("attention", None), ("single", {"use_dora": True})],
)
@pytest.mark.filterwarnings("ignore")
def test_what_would_be_another_change_is_refused_on_both_sides(target, of_peft, tmp_path):
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    base = nn.ModuleDict({"inner": Unlike(), "single": nn.Embedding(5, 4)}).eval()
    base.forward = base["inner"].forward
    fields = {"target_modules": [target], "r": 2, **(of_peft or {})}
    settings = LoRASettings(**fields)
    module = disturbed(LoRAModule(base, settings, make_generator(0)).eval())
    write_adapter(module, settings, tmp_path / "ours", buffers={}, notes={})
    torch.testing.assert_close(outputs(read(tmp_path / "ours", base)), outputs(module))
    with pytest.raises(KeyError, match="LORA_OF_SKLEARN_EXT"):
        peft.PeftModel.from_pretrained(copy.deepcopy(base), tmp_path / "ours")
    if of_peft is not None:
        theirs = peft.get_peft_model(copy.deepcopy(base), peft.LoraConfig(**fields))
        theirs.save_pretrained(tmp_path / "theirs")
        with pytest.raises(ValueError, match=r"PEFT's change of '.*' cannot be read: "):
            read_adapter(tmp_path / "theirs", base)


def test_a_failure_leaves_the_files_of_before(tmp_path):
    _, settings, module = make("every layer")
    write_adapter(module, settings, tmp_path, buffers={}, notes={})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TypeError):
        write_adapter(module, settings, tmp_path, buffers={}, notes={"none": object()})
    with pytest.raises(AttributeError):
        write_adapter(module, settings, tmp_path, buffers={"output.mean": 0}, notes={})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class Cells(nn.Module):
    """Weights that PEFT refuses."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.cell = nn.GRU(6, 5, batch_first=True)
        self.attention = nn.MultiheadAttention(5, 1, batch_first=True)
        self.output = nn.Linear(5, 2)

    def forward(self, tokens):
        states, _ = self.cell(self.table(tokens))
        return self.output(self.attention(states, states, states)[0].mean(1))


@pytest.mark.parametrize("root", ["", "inner"])
def test_weights_that_peft_has_no_name_for(root, tmp_path):
    torch.manual_seed(0)
    base = Cells().eval()
    if root:
        base = nn.ModuleDict({"inner": base})
        base.forward = base["inner"].forward
    settings = LoRASettings(r=2)
    module = disturbed(LoRAModule(base, settings, make_generator(0)).eval())
    write_adapter(module, settings, tmp_path, root=root, buffers={}, notes={})
    stored = read_adapter(tmp_path, base, root=root)
    assert "cell.weight_hh_l0.lora_A.weight" in stored.tensors
    again = LoRAModule(base, LoRASettings(**stored.settings), make_generator(1)).eval()
    tensors_into(again, stored.tensors, root=root)
    for name, weight in module.weights().items():
        assert torch.equal(weight, again.weights()[name]), name


def test_files_that_cannot_be_read_say_why(tmp_path):
    base, settings, module = make("every layer")
    write_adapter(module, settings, tmp_path, buffers={}, notes={})
    other = nn.Sequential(nn.Linear(4, 7))
    with pytest.raises(ValueError, match=r"change of '.*', which is not in the base"):
        read_adapter(tmp_path, other)
    larger = make_base()
    larger.output = nn.Linear(7, 9)
    with pytest.raises(ValueError, match=r"output.weight has the shape \(3, 2\).*\(9, 2\)"):
        read(tmp_path, larger)
    path = tmp_path / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "rank_pattern": {"output": 3}}))
    with pytest.raises(ValueError, match="rank_pattern="):
        read_adapter(tmp_path, base)
    path.write_text(json.dumps({**config, "init_lora_weights": "olora"}))
    with pytest.raises(ValueError, match=r"init_lora_weights='olora'.*has changed the weights"):
        read_adapter(tmp_path, base)
    path.write_text(json.dumps({**config, "peft_type": "IA3"}))
    with pytest.raises(ValueError, match="peft_type must be 'LORA'"):
        read_adapter(tmp_path, base)
    path.write_text(json.dumps(config))
    weights = tmp_path / "adapter_model.safetensors"
    stored = load_file(weights)
    del stored["base_model.model.output.lora_B.weight"]
    save_file(stored, weights)
    with pytest.raises(ValueError, match=r"has no 'output.lora_B.weight'"):
        read(tmp_path, base)
    weights.write_text("not at all")
    with pytest.raises(ValueError, match=r"safetensors' cannot be read"):
        read_adapter(tmp_path, base)


def test_conv1d_of_transformers_is_linear():
    base = gpt()
    module = LoRAModule(base, LoRASettings(r=2), make_generator(0))
    names = [name for name in module.low_rank if "c_attn" in name]
    assert names == [f"transformer/h/{i}/attn/c_attn/weight" for i in range(2)]
    disturbed(module)
    module.train()
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    trained = module(TOKENS).logits
    torch.testing.assert_close(trained.detach(), outputs(module.eval()), rtol=1e-4, atol=1e-5)


def test_a_folder_without_an_adapter_is_told(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"path='.*' has no adapter_model\.safetensors\."):
        read_adapter(tmp_path, make_base())
    with pytest.raises(FileNotFoundError, match=r"has no adapter_config\.json and no adapter_mod"):
        read_adapter(tmp_path / "absent", make_base())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("", "cannot be read: Expecting value"),
        ("[]", "must hold the fields of a LoraConfig"),
        ({"r": 0}, "r of adapter_config.json must be a number > 0, got 0"),
        ({"lora_alpha": None}, "lora_alpha of adapter_config.json must be a number > 0, got None"),
        ({"target_modules": "("}, "names layers by what is no regular expression: missing \\)"),
    ],
)
def test_damaged_configurations_are_told(tmp_path, change, message):
    base = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    settings = LoRASettings(r=2, target_modules=["0"])
    module = LoRAModule(base, settings, make_generator(0))
    write_adapter(module, settings, tmp_path, buffers={}, notes={})
    path = tmp_path / "adapter_config.json"
    if isinstance(change, dict):
        change = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(change)
    with pytest.raises(ValueError, match=message):
        read_adapter(tmp_path, base)
