"""Objects with training states in their fields: they stay, and a state becomes a model and an optimizer in them."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

AGENT = """
from typing import NamedTuple
class Agent(NamedTuple):
  actor: train_state.TrainState  # acts
  critic_state: train_state.TrainState
  count: int = 0
def make(model, key):
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.05))
def create(key):
  return Agent(actor=make(Plain(features=3), key), critic_state=make(Plain(features=2), key))
"""
UPDATE = """
def update(agent, x):
  def loss_fn(params):
    return (agent.critic_state.apply_fn({"params": params}, x) ** 2).mean()
  loss, grads = jax.value_and_grad(loss_fn)(agent.critic_state.params)
  return agent._replace(critic_state=agent.critic_state.apply_gradients(grads=grads), count=agent.count + 1), loss
"""


def test_two_states_and_a_count():
  text = check_same(
    AGENT
    + UPDATE
    + """
def main():
  agent = create(jax.random.key(0))
  out = []
  step = jax.jit(update)
  for x in data():
    agent, loss = step(agent, x)
    out.append(loss)
  return out, agent.count, agent.actor.apply_fn({"params": agent.actor.params}, x), int(agent.critic_state.step)
"""
  )
  assert "  actor: nnx.Module\n  actor_optimizer: nnx.Optimizer  # acts\n  critic_model: nnx.Module\n" in text
  assert "  actor, actor_optimizer = make(functools.partial(Plain, features=3), key)\n" in text
  assert "  agent.critic_optimizer.update(agent.critic_model, grads)\n  return agent._replace(count=agent.count + 1), loss" in text  # fmt: skip
  assert "    agent, loss = step(agent, x)\n" in text


def test_scan_over_an_object():
  text = check_same(
    AGENT
    + UPDATE
    + """
def main():
  agent, losses = jax.lax.scan(update, create(jax.random.key(0)), jnp.stack(data()))
  return losses, agent.count
"""
  )
  assert "nnx.scan(update, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))" in text


def test_object_in_an_attribute():
  text = check_same(
    AGENT
    + UPDATE
    + """
class Learner:
  def __init__(self, seed):
    self.agent = create(jax.random.key(seed))
    self.update = jax.jit(update)
  def learn(self, x):
    self.agent, loss = self.update(self.agent, x)
    return loss
  def act(self, x):
    return self.agent.actor.apply_fn({"params": self.agent.actor.params}, x)
def main():
  learner = Learner(0)
  return [learner.learn(x) for x in data()], learner.act(jnp.ones((2, 7)))
"""
  )
  assert "    return self.agent.actor(x)\n" in text


def test_parameters_of_a_target_and_two_gradients():
  text = check_same(
    """
import flax
@flax.struct.dataclass
class Agent:
  actor: train_state.TrainState
  critic: train_state.TrainState
  target: flax.core.FrozenDict
def make(model, params):
  return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.05))
@jax.jit
def update(agent, x):
  def loss_fn(actor, critic):
    q = agent.critic.apply_fn({"params": agent.target}, agent.actor.apply_fn({"params": actor}, x))
    return ((agent.critic.apply_fn({"params": critic}, x) - 0.9 * q - 1) ** 2).mean()
  loss, (ga, gc) = jax.value_and_grad(loss_fn, argnums=(0, 1))(agent.actor.params, agent.critic.params)
  actor, critic = agent.actor.apply_gradients(grads=ga), agent.critic.apply_gradients(grads=gc)
  target = optax.incremental_update(critic.params, agent.target, 0.1)
  return agent.replace(actor=actor, critic=critic, target=target), loss
def main():
  actor_net, critic_net = Plain(features=7), Plain(features=2)
  params = critic_net.init(jax.random.key(1), jnp.ones((1, 7)))["params"]
  actor = make(actor_net, actor_net.init(jax.random.key(0), jnp.ones((1, 7)))["params"])
  agent = Agent(actor, make(critic_net, params), params)
  out = []
  for x in data():
    agent, loss = update(agent, x)
    out.append(loss)
  return out
"""
  )
  assert "  target: nnx.State\n" in text


@pytest.mark.parametrize(
  ("body", "said"),
  [
    ("new, loss = update(agent, data()[0])\n  return agent.critic_state.params", "is used after it was updated"),
    ("actor, critic, count = agent\n  return actor.params", "part of a model kept in"),
    ("return jax.tree.map(jnp.shape, agent)", "goes where it can't be followed"),
    ("return agent._replace(actor=agent.critic_state).count", "another training state in `actor`"),
  ],
)
def test_left(body, said):
  result = rewritten(DATA + AGENT + UPDATE + f"def main():\n  agent = create(jax.random.key(0))\n  {body}\n")
  assert any(said in f for f in left(result))
  assert result.texts == {}


def test_objects_without_states_are_left_alone():
  code = """
from typing import NamedTuple
class Step(NamedTuple):
  loss: jax.Array
def main():
  return Step(loss=jnp.ones(3))._replace(loss=2)
"""
  result = rewritten(code)
  assert result.texts == {}
  assert left(result) == []
