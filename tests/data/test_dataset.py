"""Data sets, their parts and the samplers that order them."""

import builtins

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import (
    MNIST,
    BatchSampler,
    ChainDataset,
    CharacterDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    Digits,
    DistributedSampler,
    FashionMNIST,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    TransformDataset,
    Vocabulary,
    WeightedRandomSampler,
    default_collate,
    random_split,
    split_text,
)
from tests.data.errors import raises_clearly
from tests.data.idx_files import idx_bytes


class Letters(Dataset):
    def __init__(self, text):
        self.text = text

    def __getitem__(self, index):
        return self.text[index]

    def __len__(self):
        return len(self.text)


def test_a_sample_of_a_tensor_dataset_is_the_row_of_each_tensor(device):
    with rg.device(device):
        data = TensorDataset(rg.arange(6).reshape(3, 2), rg.tensor([7.0, 8.0, 9.0]))
        inputs, target = data[1]
    assert len(data) == 3
    assert inputs.tolist() == [2, 3]
    assert target.item() == 8.0
    assert inputs.device == data.tensors[0].device


def test_a_slice_of_a_tensor_dataset_is_the_slice_of_each_tensor():
    data = TensorDataset(rg.arange(5), rg.arange(5) * 2)
    assert [rows.tolist() for rows in data[1:3]] == [[1, 2], [2, 4]]


def test_a_subset_counts_its_own_samples():
    part = Subset(Letters("abcdef"), [4, 0, 2])
    assert len(part) == 3
    assert [part[i] for i in range(3)] == ["e", "a", "c"]
    assert part.__getitems__([2, 0]) == ["c", "e"]
    assert Subset(part, [1])[0] == "a"


def test_a_subset_asks_for_many_samples_at_once_where_the_data_set_can():
    class Counting(Letters):
        asked = ()

        def __getitems__(self, indices):
            self.asked += (tuple(indices),)
            return [self.text[i] for i in indices]

    data = Counting("abcdef")
    assert Subset(data, [5, 4, 3]).__getitems__([0, 2]) == ["f", "d"]
    assert data.asked == ((5, 3),)


def test_a_subset_that_overrides_the_single_sample_alone_is_refused():
    class Upper(Subset):
        def __getitem__(self, index):
            return super().__getitem__(index).upper()

    with raises_clearly(NotImplementedError, "__getitems__"):
        Upper(Letters("abc"), [0])


def test_added_data_sets_follow_each_other():
    both = Letters("ab") + Letters("cde")
    assert isinstance(both, ConcatDataset)
    assert [both[i] for i in range(5)] == list("abcde")
    assert both[-1] == "e"
    assert both[-5] == "a"
    assert both.cumulative_sizes == [2, 5]


def test_an_empty_data_set_among_added_ones_is_passed_over():
    assert list(ConcatDataset([Letters(""), Letters("ab"), Letters(""), Letters("c")])) == ["a", "b", "c"]


def test_random_split_gives_each_sample_to_one_part():
    parts = random_split(range(100), [0.8, 0.1, 0.1], rg.Generator().manual_seed(1))
    assert [len(part) for part in parts] == [80, 10, 10]
    assert sorted(i for part in parts for i in part) == list(range(100))


def test_random_split_hands_the_remainder_to_the_first_parts():
    assert [len(part) for part in random_split(range(11), [0.25] * 4)] == [3, 3, 3, 2]


def test_random_split_by_lengths_and_of_nothing():
    assert [len(part) for part in random_split(range(7), [3, 4])] == [3, 4]
    assert [len(part) for part in random_split([], [0, 0])] == [0, 0]


def test_fractions_whose_sum_is_1_but_for_rounding_are_fractions():
    for fractions in ([0.5 - 1e-12, 0.5], [0.5 + 1e-12, 0.5]):
        assert sum(fractions) != 1
        assert [len(part) for part in random_split(range(10), fractions)] == [5, 5]


def test_random_split_warns_of_an_empty_part():
    with pytest.warns(UserWarning, match=r"part 1 \(0\.1 of 3 samples\) is empty"):
        random_split(range(3), [0.9, 0.1])


def test_random_split_draws_from_the_default_stream_unless_given_another():
    rg.manual_seed(5)
    first = random_split(range(20), [10, 10])[0].indices
    assert random_split(range(20), [10, 10], rg.Generator().manual_seed(5))[0].indices == first
    assert random_split(range(20), [10, 10])[0].indices != first


BAD_DATASETS = [
    (lambda: TensorDataset(), TypeError, "at least one"),
    (lambda: TensorDataset(np.zeros(3)), TypeError, "got ndarray"),
    (lambda: TensorDataset(rg.tensor(1.0)), TypeError, "0-d"),
    (lambda: TensorDataset(rg.zeros(3, 2), rg.zeros(4)), AssertionError, r"\(3, 2\), \(4,\)"),
    (lambda: ConcatDataset([]), AssertionError, "at least one"),
    (lambda: ConcatDataset([IterableDataset()]), AssertionError, "no numbered samples"),
    (lambda: list(IterableDataset() + Letters("a")), NotImplementedError, "must define __iter__"),
    (lambda: len(ChainDataset([Letters("a")])), AssertionError, "use ConcatDataset"),
    (lambda: StackDataset(), ValueError, "at least one"),
    (lambda: StackDataset("a", b="b"), ValueError, "all with names or none"),
    (lambda: StackDataset("ab", "c"), ValueError, r"\[2, 1\]"),
    (lambda: DistributedSampler("ab"), RuntimeError, "num_replicas"),
    (lambda: DistributedSampler("ab", 2, 2), ValueError, "from 0 to 1, got 2"),
    (lambda: DistributedSampler("ab", 2, -1), ValueError, "got -1"),
    (lambda: TransformDataset("ab", 3), TypeError, "transform must be a function"),
    (lambda: Vocabulary(""), ValueError, "is empty"),
    (lambda: Vocabulary("ab").encode("abc"), ValueError, "'c'"),
    (lambda: Vocabulary("ab").decode([0, 2]), IndexError, "0 to 1"),
    (lambda: CharacterDataset("ab", 2), ValueError, "a text of 3, got 2"),
    (lambda: CharacterDataset("ab", 0), ValueError, "length must be a positive"),
    (lambda: CharacterDataset("abc", 2)[1], IndexError, "out of range for 1"),
    (lambda: split_text("abc", 1, held_out=1.5), ValueError, "between 0 and 1"),
    (lambda: (Letters("a") + Letters("b"))[2], IndexError, "out of range for 2"),
    (lambda: (Letters("a") + Letters("b"))[-3], ValueError, "out of range for 2"),
    (lambda: Dataset()[0], NotImplementedError, "__getitem__"),
    (lambda: iter(IterableDataset()), NotImplementedError, "__iter__"),
    (lambda: random_split(range(10), [3, 4]), ValueError, "sum to 7, but the data set has 10"),
    (lambda: random_split(range(10), [-1, 11]), ValueError, "must not be negative"),
    (lambda: random_split(range(10), [0.5, 0.6]), ValueError, "must sum to 1"),
    (lambda: random_split(range(10), [1.5, -0.5]), ValueError, "must not be negative"),
    (lambda: random_split(range(10), [0.5, float("nan")]), ValueError, "must not be negative"),
    (lambda: random_split(range(10), []), ValueError, "sum to 0"),
    (lambda: random_split(range(10), [5, 5], generator=3), TypeError, "generator must be"),
    (lambda: iter(Sampler()), NotImplementedError, "__iter__"),
    (lambda: RandomSampler([]), ValueError, "empty"),
    (lambda: list(RandomSampler([], num_samples=2)), ValueError, "empty"),
    (lambda: RandomSampler([1], num_samples=0), ValueError, "positive integer, got 0"),
    (lambda: RandomSampler([1], num_samples=1.5), ValueError, "got 1.5"),
    (lambda: RandomSampler([1], replacement=1), TypeError, "True or False, got 1"),
    (lambda: BatchSampler(range(3), 0, False), ValueError, "positive integer, got 0"),
    (lambda: BatchSampler(range(3), -2, False), ValueError, "got -2"),
    (lambda: BatchSampler(range(3), True, False), ValueError, "got True"),
    (lambda: BatchSampler(range(3), 1, 0), ValueError, "True or False, got 0"),
    (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, r"shape \(1, 1\)"),
    (lambda: WeightedRandomSampler([1.0], 0), ValueError, "positive integer"),
    (lambda: WeightedRandomSampler([1.0], 1, 1), ValueError, "True or False"),
    (lambda: list(WeightedRandomSampler([-1.0, 2.0], 1)), RuntimeError, "not negative"),
]


@pytest.mark.parametrize(("make", "kind", "words"), BAD_DATASETS)
def test_bad_data_sets_and_samplers_raise_one_clear_error(make, kind, words):
    with raises_clearly(kind, words):
        make()


def test_samplers_know_their_lengths():
    assert len(SequentialSampler("abc")) == 3
    assert len(RandomSampler("abc")) == 3
    assert len(RandomSampler("abc", num_samples=7)) == 7
    assert len(SubsetRandomSampler([4, 5])) == 2
    assert len(WeightedRandomSampler([1, 2], 9)) == 9
    assert len(BatchSampler(range(7), 3, False)) == 3
    assert len(BatchSampler(range(7), 3, True)) == 2


def test_a_random_sampler_visits_every_sample_once():
    assert sorted(RandomSampler(range(50))) == list(range(50))
    assert sorted(SubsetRandomSampler([3, 1, 4])) == [1, 3, 4]


def test_more_samples_than_there_are_begin_another_order():
    order = list(RandomSampler(range(4), num_samples=10))
    assert sorted(order[:4]) == sorted(order[4:8]) == [0, 1, 2, 3]
    assert len(set(order[8:])) == 2


def test_weights_of_zero_are_never_drawn():
    drawn = list(WeightedRandomSampler([0.0, 3.0, 1.0], 1000, generator=rg.Generator().manual_seed(0)))
    assert 0 not in drawn
    assert 2 < drawn.count(1) / drawn.count(2) < 4


def test_a_batch_sampler_leaves_out_an_incomplete_list_only_when_asked():
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(4), 2, True)) == list(BatchSampler(range(4), 2, False))


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_mnist_is_a_data_set_of_scaled_images_and_labels(tmp_path, kind):
    pixels = np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28)
    for name, count in (("train", 3), ("t10k", 2)):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(pixels[:count]))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count, dtype=np.uint8)))
    train, test = kind(tmp_path), kind(tmp_path, train=False)
    assert (len(train), len(test)) == (3, 2)
    image, label = train[2]
    assert image.shape == (1, 28, 28)
    assert (image.dtype, label.dtype) == (rg.float32, rg.int64)
    assert label.item() == 2
    np.testing.assert_array_equal(image.numpy()[0], pixels[2] / np.float32(255))


def test_the_digits_without_scikit_learn_name_the_extra_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with raises_clearly(ImportError, r"retrograd\[demo\]"):
        Digits()


# ---- data sets side by side and in a chain, shares of several processes


class Count(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.count


def test_streams_are_chained_by_addition():
    chain = Count(2) + Count(3)
    assert isinstance(chain, ChainDataset)
    assert list(chain) == [0, 1, 0, 1, 2]
    assert len(chain) == 5
    assert [batch.tolist() for batch in DataLoader(chain, batch_size=2)] == [[0, 1], [0, 1], [2]]


def test_stacked_data_sets_give_tuples_or_dicts_and_ask_each_part_at_once():
    class Many(Letters):
        def __getitems__(self, indices):
            return [self.text[i].upper() for i in indices]

    pairs, named = StackDataset(Letters("abc"), range(3)), StackDataset(letter=Many("abc"), number=range(3))
    assert pairs[2] == ("c", 2)
    assert named[2] == {"letter": "c", "number": 2}
    assert pairs.__getitems__([0, 2]) == [("a", 0), ("c", 2)]
    assert named.__getitems__([1]) == [{"letter": "B", "number": 1}]
    (batch,) = DataLoader(named, batch_size=3)
    assert batch["letter"] == ["A", "B", "C"]
    assert batch["number"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_shares_of_all_processes_hold_every_sample(shuffle):
    shares = [DistributedSampler(range(10), 3, rank, shuffle=shuffle, seed=4) for rank in range(3)]
    assert [len(share) for share in shares] == [4, 4, 4]
    seen = sorted(i for share in shares for i in share)
    assert set(seen) == set(range(10))
    assert len(seen) == 12
    whole = [i for rank in range(3) for i in DistributedSampler(range(10), 3, rank, shuffle=shuffle, drop_last=True)]
    assert len(whole) == len(set(whole)) == 9


def test_every_epoch_of_a_share_has_its_own_order():
    share = DistributedSampler(range(50), 2, 0)
    first = list(share)
    assert list(share) == first
    share.set_epoch(1)
    assert list(share) != first


# ---- data that passes through a function


def test_a_transform_reaches_the_wrapped_part_alone_and_whole_batches():
    shapes = []

    def double(images):
        shapes.append(images.shape)
        return images * 2

    data = TensorDataset(rg.arange(10.0), rg.arange(10))
    train, test = Subset(data, range(6)), Subset(data, range(6, 10))
    doubled = TransformDataset(train, double, target_transform=lambda y: y + 100)
    batches = list(DataLoader(doubled, batch_size=4))
    assert shapes == [(4,), (2,)]
    assert batches[0][0].tolist() == [0, 2, 4, 6]
    assert batches[1][1].tolist() == [104, 105]
    assert [float(x) for x, _ in DataLoader(test)] == [6, 7, 8, 9]
    sample = doubled[3]
    assert isinstance(sample, tuple)
    assert (sample[0].item(), sample[1].item()) == (6.0, 103)
    assert len(doubled) == 6


def test_a_transform_takes_whole_samples_that_are_no_tuples_and_single_ones_for_own_collating():
    data = TransformDataset("abc", str.upper)
    assert data[1] == "B"
    assert next(iter(DataLoader(data, 2, collate_fn="".join))) == "AB"
    assert TransformDataset([(1, 2)])[0] == (1, 2)


def test_a_transformed_subset_of_a_subset_is_taken_in_one_look_up():
    inner = Subset(TensorDataset(rg.arange(10)), [9, 8, 7])
    (batch,) = DataLoader(Subset(TransformDataset(inner, lambda x: -x), [2, 0]), 2)
    assert batch[0].tolist() == [-7, -9]


# ---- texts


def test_a_text_is_encoded_and_decoded_with_the_numbers_of_its_sorted_characters():
    text = "naïve 数据 \U0001f600 naïve"
    letters = Vocabulary(text)
    assert letters.characters == "".join(sorted(set(text)))
    assert letters.decode(letters.encode(text)) == text
    assert "数" in letters
    assert "x" not in letters
    assert letters.encode("").shape == (0,)


def test_windows_of_a_text_are_stacked_as_their_samples(device):
    text = "to be or not to be"
    with rg.device(device):
        data = CharacterDataset(text, length=5, stride=2)
        assert len(data) == 7
        for sampler in (range(7), [6, -7, 3]):
            fast = list(DataLoader(data, 3, sampler=list(sampler)))
            slow = list(DataLoader(data, 3, sampler=list(sampler), collate_fn=lambda samples: default_collate(samples)))
            for batch, expected in zip(fast, slow, strict=True):
                assert [part.tolist() for part in batch] == [part.tolist() for part in expected]
        inputs, targets = data[6]
        assert data.vocabulary.decode(inputs) == text[12:17]
        assert data.vocabulary.decode(targets) == text[13:18]


def test_the_held_out_end_of_a_text_shares_the_vocabulary_and_no_window_with_its_beginning():
    text = "".join(chr(97 + i % 26) for i in range(1000))
    train, val = split_text(text, length=10, held_out=0.2)
    assert len(train.codes) == 800
    assert len(val.codes) == 200
    assert len(train) == 790
    assert len(val) == 19  # windows of 10 and the character after each
    assert val.vocabulary is train.vocabulary
    covered = [i for x, _ in val for i in x.tolist()]
    assert covered == val.codes[:190].tolist()
