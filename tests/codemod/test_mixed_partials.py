"""Partials of different layers under one name."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

TRAIN = "Example({model}, ({args}, False), calls=(Call(({args}, True), mutable=['batch_stats']),))"
BATCH = "functools.partial(nn.BatchNorm, use_running_average=not train)"
SOURCE = """
    class Model(nn.Module):
      features: int
      norm: str

      @nn.compact
      def __call__(self, x, train):
        {choice}
        x = nn.Dense(self.features)(x)
        x = norm()(x)
        x = nn.Dense(self.features)(x)
        return norm()(x)
    """
BRANCHES = """if self.norm == "{0}":
          norm = {1}
        else:
          norm = {2}"""


@pytest.mark.parametrize("seen", [["bn"], ["ln"], ["bn", "ln"]])
@pytest.mark.parametrize("first", ["bn", "ln"])
def test_every_branch_has_its_own_arguments(tmp_path, seen, first):
  values = [BATCH, "nn.LayerNorm"] if first == "bn" else ["nn.LayerNorm", BATCH]
  examples = [f'Model(3, "{norm}"), x(2, 6), False' for norm in seen]
  held_out = [TRAIN.format(model='Model(4, "bn")', args="x(2, 5)"), 'Model(4, "ln"), x(2, 5), False']
  source = SOURCE.format(choice=BRANCHES.format(first, *values))
  ported = port_and_check(tmp_path, source, *examples, held_out=held_out)
  call = ported.text.partition("def __call__")[2]
  assert 'norm_arguments = {"use_running_average": not train}' in call
  assert "norm_arguments = {}" in call
  assert call.count("(x, **norm_arguments)") == 2
  assert " norm = " not in call


def test_choice_in_one_expression(tmp_path):
  source = SOURCE.format(choice=f'norm = {BATCH} if self.norm == "bn" else nn.LayerNorm')
  held_out = [TRAIN.format(model='Model(4, "bn")', args="x(2, 5)"), 'Model(4, "ln"), x(2, 5), False']
  ported = port_and_check(tmp_path, source, 'Model(3, "ln"), x(2, 6), False', held_out=held_out)
  assert 'norm_arguments = {"use_running_average": not train} if self.norm == "bn" else {}' in ported.text


def test_handed_to_a_method(tmp_path):
  source = """
    class Model(nn.Module):
      features: int
      norm: str

      def block(self, x, norm):
        return nn.relu(norm()(nn.Dense(self.features)(x)))

      @nn.compact
      def __call__(self, x, train):
        if self.norm == "bn":
          norm = functools.partial(nn.BatchNorm, use_running_average=not train)
        elif self.norm == "ln":
          norm = functools.partial(nn.LayerNorm, use_bias=False)
        else:
          raise ValueError(self.norm)
        return self.block(self.block(x, norm), norm)
    """
  held_out = [TRAIN.format(model='Model(4, "bn")', args="x(2, 5)"), 'Model(4, "ln"), x(2, 5), False']
  ported = port_and_check(tmp_path, source, 'Model(3, "bn"), x(2, 6), False', held_out=held_out)
  assert "def block(self, x, *, norm_arguments, layers):" in ported.text
  assert "norm_arguments=norm_arguments" in ported.text


def test_partials_that_leave_the_same_need_no_dict(tmp_path):
  slow = "functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)"
  source = SOURCE.format(choice=BRANCHES.format("bn", BATCH, slow))
  held_out = [TRAIN.format(model='Model(4, "slow")', args="x(2, 5)")]
  ported = port_and_check(tmp_path, source, 'Model(3, "bn"), x(2, 6), False', held_out=held_out)
  assert ported.text.count("(x, use_running_average=not train)") == 2
  assert "norm_arguments" not in ported.text


def test_given_where_the_layer_is_made(tmp_path):
  source = SOURCE.format(choice=f"norm = {BATCH}").replace("return norm()", "return norm(use_running_average=True)")
  held_out = [TRAIN.format(model='Model(4, "bn")', args="x(2, 5)")]
  ported = port_and_check(tmp_path, source, 'Model(3, "bn"), x(2, 6), False', held_out=held_out)
  assert ported.text.count("use_running_average=not train") == 1
