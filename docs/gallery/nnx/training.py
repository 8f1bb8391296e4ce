"""A training step.

The training state becomes a model and an optimizer, which change in place. What a step returned only to hand it on is
gone; the losses are the same.
"""

from flax import nnx
import jax.numpy as jnp
import optax


class Net(nnx.Module):
  def __init__(self, in_features: int, hidden: int = 16, classes: int = 3, *, rngs: nnx.Rngs):
    self.hidden = hidden
    self.classes = classes
    self.dense = nnx.Linear(in_features, self.hidden, rngs=rngs)
    self.batch_norm = nnx.BatchNorm(self.hidden, rngs=rngs)
    self.dense_1 = nnx.Linear(self.hidden, self.classes, rngs=rngs)

  def __call__(self, x, train: bool):
    x = nnx.relu(self.dense(x))
    x = self.batch_norm(x, use_running_average=not train)
    return self.dense_1(x)


def create(key, learning_rate=1e-3):
  model = Net(in_features=8, rngs=nnx.Rngs(key))
  return model, nnx.Optimizer(model, optax.adamw(learning_rate), wrt=nnx.Param)


@nnx.jit
def train_step(model, optimizer, x, labels):
  def loss_fn(model):
    logits = model(x, train=True)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

  loss, grads = nnx.value_and_grad(loss_fn)(model)
  optimizer.update(model, grads)
  return loss


@nnx.jit
def accuracy(model, x, labels):
  logits = model(x, train=False)
  return jnp.mean(logits.argmax(-1) == labels)


def train(batches, key):
  model, optimizer = create(key)
  for x, labels in batches:
    loss = train_step(model, optimizer, x, labels)
    print(loss, accuracy(model, x, labels))
  return model, optimizer
