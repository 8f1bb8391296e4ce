"""Methods of objects that have training states in their fields."""

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

MAKE = """
import flax


def make(key, features):
  net = Plain(features=features)
  params = net.init(key, jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=net.apply, params=params, tx=optax.adam(1e-2))

"""
FIELDS = """
class Agent(flax.struct.PyTreeNode):
  rng: jax.Array
  actor: train_state.TrainState
  critic: train_state.TrainState
"""
CREATE = """
  @classmethod
  def create(cls, seed):
    rng, k1, k2 = jax.random.split(jax.random.PRNGKey(seed), 3)
    return cls(rng=rng, actor=make(k1, 1), critic=make(k2, 1))
"""
UPDATE = """
  @jax.jit
  def update(self, x):
    loss, grads = jax.value_and_grad(self.critic_loss)(self.critic.params, x)
    return self.replace(critic=self.critic.apply_gradients(grads=grads)), loss

  def critic_loss(self, params, x):
    return jnp.mean((self.critic.apply_fn({"params": params}, x) - self.act(x)) ** 2)
"""
ACT = """
  def act(self, x):
    return self.actor.apply_fn({"params": self.actor.params}, x)
"""
MAIN = """

def main():
  agent = Agent.create(0)
  losses = []
  for x in data():
    agent, loss = agent.update(x)
    losses.append(loss)
  return losses, agent.act(x)
"""


def test_methods_of_a_pytree_node():
  text = check_same(MAKE + FIELDS + CREATE + UPDATE + ACT + MAIN)
  assert "def critic_loss(self, model, x):" in text
  assert "nnx.value_and_grad(self.critic_loss)(self.critic, x)" in text
  assert "return self.actor(x)" in text


def test_a_base_class_with_a_field_and_a_method():
  base = "class Base(flax.struct.PyTreeNode):\n  actor: train_state.TrainState\n  rng: jax.Array\n" + ACT
  agent = "\nclass Agent(Base):\n  critic: train_state.TrainState\n" + CREATE + UPDATE
  text = check_same(MAKE + base + agent + MAIN)
  assert "actor: nnx.Module\n  actor_optimizer: nnx.Optimizer\n  rng: jax.Array" in text


def test_methods_that_nothing_calls_are_read():
  text = check_same(MAKE + FIELDS + CREATE + UPDATE + ACT + MAIN.replace(", agent.act(x)", ""))
  assert "return self.actor(x)" in text
  unused = "\n  @jax.jit\n  def value(self, x):\n    return self.critic.apply_fn({'params': self.critic.params}, x)\n"
  text = check_same(MAKE + FIELDS + CREATE + UPDATE + ACT + unused + MAIN)
  assert "return self.critic(x)" in text


def test_an_old_state_of_self_is_left():
  old = UPDATE.replace("return self.replace(critic=self.critic.apply_gradients(grads=grads)), loss", (
    "critic = self.critic.apply_gradients(grads=grads)\n"
    "    return self.replace(critic=critic), self.critic_loss(self.critic.params, x)"
  ))  # fmt: skip
  result = rewritten(DATA + MAKE + FIELDS + CREATE + old + ACT + MAIN)
  assert any("`self.critic` is used after it was updated" in f for f in left(result))
  assert "train" not in result.texts


def test_an_object_beside_what_is_differentiated_is_left():
  step = """
def loss_fn(params, agent, x):
  return jnp.mean((agent.critic.apply_fn({"params": params}, x) - agent.act(x)) ** 2)


def main():
  agent = Agent.create(0)
  for x in data():
    grads = jax.grad(loss_fn)(agent.critic.params, agent, x)
    agent = agent.replace(critic=agent.critic.apply_gradients(grads=grads))
"""
  result = rewritten(DATA + MAKE + FIELDS + CREATE + ACT + step)
  assert any("has the model in it that is differentiated by" in f for f in left(result))
  assert "train" not in result.texts


def test_a_class_that_is_left_keeps_the_functions_that_it_calls():
  agent = FIELDS.replace("flax.struct.PyTreeNode", "Unknown") + CREATE
  result = rewritten(DATA + MAKE + "from somewhere import Unknown\n" + agent)
  assert left(result)
  assert "train" not in result.texts
