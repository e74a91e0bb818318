"""The limit of one thread comes and goes with its blocks."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch.threads import one_thread  # noqa: E402


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_block_inside_a_block_leaves_the_limit():
    with one_thread():
        with one_thread():
            pass
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_error_inside_gives_the_count_back():
    for _ in range(2):
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
