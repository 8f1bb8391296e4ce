"""A training step.

The training state becomes a model and an optimizer, which change in place. What a step returned only to hand it on is
gone; the losses are the same.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training import train_state


class Net(nn.Module):
  hidden: int = 16
  classes: int = 3

  @nn.compact
  def __call__(self, x, train: bool):
    x = nn.relu(nn.Dense(self.hidden)(x))
    x = nn.BatchNorm(use_running_average=not train)(x)
    return nn.Dense(self.classes)(x)


class TrainState(train_state.TrainState):
  batch_stats: dict


def create(key, learning_rate=1e-3):
  model = Net()
  variables = model.init(key, jnp.ones((1, 8)), train=False)
  return TrainState.create(
    apply_fn=model.apply,
    params=variables["params"],
    tx=optax.adamw(learning_rate),
    batch_stats=variables["batch_stats"],
  )


@jax.jit
def train_step(state, x, labels):
  def loss_fn(params):
    variables = {"params": params, "batch_stats": state.batch_stats}
    logits, updates = state.apply_fn(variables, x, train=True, mutable=["batch_stats"])
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), updates

  (loss, updates), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
  return state.apply_gradients(grads=grads, batch_stats=updates["batch_stats"]), loss


@jax.jit
def accuracy(state, x, labels):
  logits = state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, x, train=False)
  return jnp.mean(logits.argmax(-1) == labels)


def train(batches, key):
  state = create(key)
  for x, labels in batches:
    state, loss = train_step(state, x, labels)
    print(loss, accuracy(state, x, labels))
  return state
