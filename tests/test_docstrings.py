"""Every public object is documented, in numpydoc's form, as its signature is."""

import ast
import inspect
import re

import pytest
from all_estimators import public_modules, public_objects

numpydoc_validate = pytest.importorskip("numpydoc.validate")
numpydoc_docscrape = pytest.importorskip("numpydoc.docscrape")

IGNORED = {
    "ES01",  # an extended summary: one line often says it all
    "SA01",  # a See Also section: many objects have no neighbour
    "SA04",  # descriptions in See Also: the names explain themselves
    "EX01",  # examples: asked of classes and functions by a test of its own below
    "GL01",  # summary on the second line: scikit-learn begins it on the first
    "RT02",  # type only in Returns: scikit-learn names what it returns, `self : object`
}


def own_members(cls):
    """Yield the public methods and properties that the class has from this package."""
    for name, _ in inspect.getmembers(cls):
        owner = next((base for base in cls.__mro__ if name in vars(base)), None)
        if name.startswith("_") or owner is None or not owner.__module__.startswith("sklearn_ext"):
            continue
        # The `set_*_request` descriptors that scikit-learn writes into each class are neither.
        kinds = (staticmethod, classmethod, property)
        if inspect.isfunction(vars(owner)[name]) or isinstance(vars(owner)[name], kinds):
            yield name


def documented_names():
    names = []
    for name, value in public_objects().items():
        members = own_members(value) if inspect.isclass(value) else ()
        names += [name, *(f"{name}.{member}" for member in members)]
    return names


def load(name):
    return numpydoc_validate.Validator._load_obj(name)


def is_exception(name):
    value = load(name)
    return inspect.isclass(value) and issubclass(value, BaseException)


def with_signature():
    """Names of what has parameters of its own; errors take a message, like all errors."""
    return [n for n in documented_names() if callable(load(n)) and not is_exception(n)]


def documented_parameters(name):
    """Map each documented parameter to its type text, in the order of the docstring."""
    sections = numpydoc_docscrape.get_doc_object(load(name))
    entries = sections["Parameters"] + sections["Other Parameters"]
    return {part.strip(): entry.type for entry in entries for part in entry.name.split(",")}


def signature_parameters(name):
    parameters = inspect.signature(load(name)).parameters
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return {
        stars.get(parameter.kind, "") + key: parameter
        for key, parameter in parameters.items()
        if key not in ("self", "cls")
    }


@pytest.mark.parametrize("name", public_modules())
def test_module_has_a_docstring(name):
    assert inspect.getdoc(public_modules()[name])


@pytest.mark.parametrize("name", documented_names())
def test_docstring_is_valid_numpydoc(name):
    errors = numpydoc_validate.validate(name)["errors"]
    wrong = [f"{code}: {text}" for code, text in errors if code not in IGNORED]
    # numpydoc counts the arguments of an exception's built-in constructor as parameters.
    if is_exception(name):
        wrong = [error for error in wrong if not error.startswith("PR01")]
    assert not wrong, "\n".join([name, *wrong])


@pytest.mark.parametrize("name", with_signature())
def test_parameters_are_those_of_the_signature_in_order(name):
    assert list(documented_parameters(name)) == list(signature_parameters(name))


@pytest.mark.parametrize("name", with_signature())
def test_defaults_are_those_of_the_signature(name):
    documented = documented_parameters(name)
    for key, parameter in signature_parameters(name).items():
        if parameter.default is inspect.Parameter.empty:
            assert "default" not in documented[key], f"{key} has no default"
            continue
        match = re.search(r"default=(.+)$", documented[key])
        assert match, f"{key}: {documented[key]!r} does not end with default={parameter.default!r}"
        assert ast.literal_eval(match[1]) == parameter.default, key


@pytest.mark.parametrize("name", [n for n in public_objects() if not is_exception(n)])
def test_classes_and_functions_show_an_example(name):
    assert ">>>" in inspect.getdoc(load(name))
