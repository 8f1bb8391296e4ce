"""Flops and instructions of both programs, side by side."""

from collections import Counter

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from migrate.core.declare import ModelMapping, move
from migrate.example import Example
from migrate.verify.programs import compare_programs, cost, findings_of, instructions
from migrate.verify.records import CallRecord
from migrate.workflows.proof import verify


class LinenModel(nn.Module):
  """One layer."""

  @nn.compact
  def __call__(self, x):
    return nn.relu(nn.Dense(5, name="out")(x))


class Model(nnx.Module):
  """The same in NNX."""

  def __init__(self, rngs):
    self.out = nnx.Linear(7, 5, rngs=rngs)

  def __call__(self, x):
    return nnx.relu(self.out(x))


def record(flops, count, **more):
  """One call with its program."""
  return CallRecord({}, {}, 0, {}, {}, program=(flops, Counter(add=count)), **more)


def test_cost_of_a_matrix_product():
  compiled = jax.jit(lambda a, b: a @ b).lower(jnp.ones((8, 16)), jnp.ones((16, 4))).compile()
  flops, count = cost(compiled)
  assert flops == 2 * 8 * 16 * 4
  assert count == {"dot": 1}


def test_what_computes_nothing_is_not_counted():
  text = """
HloModule m
ENTRY %main (a: f32[2], b: f32[2]) -> (f32[2]) {
  %a = f32[2]{0} parameter(0)
  %b = f32[2]{0} parameter(1)
  %add.1 = f32[2]{0} add(f32[2]{0} %a, f32[2]{0} %b), metadata={op_name="x"}
  %copy = f32[2]{0} copy(f32[2]{0} %add.1)
  ROOT %tuple = (f32[2]{0}) tuple(f32[2]{0} %copy)
}
"""
  assert instructions(text) == {"add": 1}


def test_calls_with_random_numbers_are_not_compared():
  assert compare_programs([record(1.0, 1, draws=("any",))], [record(1.0, 1)]) == ()
  assert compare_programs([record(1.0, 1)], [CallRecord({}, {}, 0, {}, {})]) == ()
  (row,) = compare_programs([record(10.0, 2)], [record(12.0, 3)])
  assert row == {"call": 0, "gradient": True, "flops": [10.0, 12.0], "instructions": [2, 3], "more": {"add": 1}}


def test_more_flops_are_said():
  assert findings_of("m", compare_programs([record(100.0, 100)], [record(101.0, 101)])) == []
  (finding,) = findings_of("m", compare_programs([record(100.0, 1)], [record(200.0, 1)]))
  assert "takes 200 flops, Linen's takes 100" in finding.found
  assert finding.severity == "note"


def test_more_instructions_are_said_with_their_opcodes():
  theirs = CallRecord({}, {}, 0, {}, {}, program=(1.0, Counter(add=10, reshape=5, transpose=2)))
  (finding,) = findings_of("m", compare_programs([record(1.0, 12)], [theirs]))
  assert "has 17 instructions, Linen's has 12: 5 more reshape, 2 more transpose" in finding.found
  assert finding.severity == "note"
  assert findings_of("m", compare_programs([theirs], [record(1.0, 12)])) == []


def test_report_has_the_programs_of_both_models():
  example = Example(LinenModel(), (jax.ShapeDtypeStruct((3, 7), "float32"),))
  mapping = ModelMapping((move("params/out/kernel", "out/kernel"), move("params/out/bias", "out/bias")))
  report = verify(example, Model, mapping, name="m").examples[0]
  (row,) = report.to_json()["programs"]
  assert row["flops"][0] == row["flops"][1] > 0
  assert row["instructions"][1] <= row["instructions"][0]
