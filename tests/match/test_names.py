"""Words, numbers, and what they are worth."""

import pytest

from migrate.match.names import Numbers, likeness, same_numbers, words


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("SelfAttention_0", ("attention",)),
    ("q_proj", ("query",)),
    ("attention_output", ("attention", "out")),
    ("LayerNorm_1", ("norm",)),
    ("ln_f", ("norm", "f")),
    ("fc2", ("dense",)),
    ("wte", ("embedding",)),
    ("kernel", ("kernel",)),
    ("weight", ("kernel",)),
  ],
)
def test_words(name, expected):
  assert words(name) == expected


def agree(one, other):
  return tuple(float(table[0, 0]) for table in same_numbers([one], [other]))


def test_synonyms_count_as_the_same_word():
  assert likeness(("block", "query"), ("layers", "q_proj")) > likeness(("block", "query"), ("layers", "k_proj"))


def numbers_of(*paths):
  split = [tuple(p.split("/")) for p in paths]
  return Numbers(split, split), split


def test_blocks_of_one_base_agree():
  one, mine = numbers_of(*(f"layer_{i}/{n}/kernel" for i in range(12) for n in "ab"))
  other, theirs = numbers_of(*(f"blocks/{i}/{n}/kernel" for i in range(12) for n in "ab"))
  assert agree(one.of(mine[20]), other.of(theirs[20])) == (1.0, 0.0)
  assert agree(one.of(mine[20]), other.of(theirs[4])) == (0.0, 0.0)


def test_layers_that_start_at_one_are_order_alone():
  one, mine = numbers_of("LayerNorm_0/scale", "LayerNorm_1/scale")
  other, theirs = numbers_of("norm1/scale", "norm2/scale")
  assert agree(one.of(mine[1]), other.of(theirs[1])) == (0.0, 1.0)
  assert agree(one.of(mine[1]), other.of(theirs[0])) == (0.0, 0.0)


def test_numbers_of_construction_against_names():
  """Linen numbers by construction; a model that is built backwards speaks against its own names."""
  one, mine = numbers_of("Dense_0/kernel", "Dense_1/kernel")
  forward, theirs = numbers_of("dense_0/kernel", "dense_1/kernel")
  backward, turned = numbers_of("dense_1/kernel", "dense_0/kernel")
  assert agree(one.of(mine[1]), forward.of(theirs[1])) == (1.0, 0.0)
  assert agree(one.of(mine[1]), backward.of(turned[0])) == (0.0, 1.0)
