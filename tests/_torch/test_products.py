"""Products by oneDNN and MKL against those in double precision, whatever the strides."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch import products  # noqa: E402
from sklearn_ext._torch.products import product  # noqa: E402


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def by_double(rows, factor, bias):
    return (rows.double() @ factor.double() + (0.0 if bias is None else bias.double())).float()


@pytest.fixture(params=["by oneDNN", "by MKL"])
def library(request, monkeypatch):
    """Multiply by each library, whatever the processor."""
    monkeypatch.setattr(products, "_leaves_avx512", lambda: request.param == "by oneDNN")


FORMS = {
    "contiguous": lambda n, m: drawn(n, m),
    "transposed": lambda n, m: drawn(m, n).mT,
    "of another": lambda n, m: drawn(n, 2 * m)[:, ::2],
    "a slice": lambda n, m: drawn(n, m + 3)[:, 1:-2],
    "reversed twice": lambda n, m: drawn(m + 1, n + 1).mT[1:, 1:],
}


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("left", FORMS)
@pytest.mark.parametrize("right", FORMS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_large_products_of_any_strides(left, right, has_bias):
    rows, factor = FORMS[left](257, 64), FORMS[right](64, 96)
    bias = drawn(96) if has_bias else None
    assert products._is_large(rows, factor)
    found = product(rows, factor, bias)
    torch.testing.assert_close(found, by_double(rows, factor, bias))
    assert found.is_contiguous()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("shape", [(0, 5, 4), (3, 0, 4), (1, 1, 1), (7, 5, 3)])
def test_small_and_empty_products_are_those_of_torch(shape):
    n, k, m = shape
    rows, factor, bias = drawn(n, k), drawn(k, m), drawn(m)
    assert torch.equal(product(rows, factor), rows @ factor)
    assert torch.equal(product(rows, factor, bias), torch.addmm(bias, rows, factor))


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_those_of_torch(dtype):
    rows, factor = drawn(300, 64).to(dtype), drawn(64, 96).to(dtype)
    assert torch.equal(product(rows, factor), rows @ factor)


def test_a_build_without_onednn_multiplies_all_the_same(monkeypatch):
    monkeypatch.setattr(products, "_leaves_avx512", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    rows, factor = drawn(300, 64), drawn(64, 96)
    assert torch.equal(product(rows, factor), rows @ factor)


def test_this_torch_has_the_operator(monkeypatch):
    # It is not public. Where it goes, only time is lost, and this says so.
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    monkeypatch.setattr(products, "_leaves_avx512", lambda: True)
    assert products._by_onednn() is not None


@pytest.mark.parametrize("capability", ["AVX512", "AVX2"])
@pytest.mark.parametrize("maker", ["GenuineIntel", "AuthenticAMD"])
@pytest.mark.parametrize("is_linux", [True, False])
def test_the_processor_decides(monkeypatch, capability, maker, is_linux):
    def read(path, encoding):
        if not is_linux:
            raise FileNotFoundError(path)
        return f"vendor_id : {maker}"

    monkeypatch.setattr(products.Path, "read_text", read)
    monkeypatch.setattr(products.platform, "processor", lambda: f"Intel64 Family 6, {maker}")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    expected = (capability, maker) == ("AVX512", "AuthenticAMD")
    assert products._leaves_avx512.__wrapped__() == expected


@pytest.mark.usefixtures("library")
def test_one_product_is_the_same_every_time():
    rows, factor = drawn(300, 64), drawn(64, 96)
    assert torch.equal(product(rows, factor), product(rows, factor))
