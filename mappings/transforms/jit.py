"""`nn.jit` to `nnx.jit` of the call; jax.jit of a module would lose what it updates."""

from migrate.core.declare import TransformMapping, ignore, refuse, same

MAPPING = TransformMapping(
  linen="flax.linen.jit",
  nnx="flax.nnx.jit",
  because="nnx.jit of a class wraps its constructor: lift the call. Random draws inside follow another rule in Linen",
  prefix="Jit",
  call="nnx.jit({body})({layer}, {args})",
  args=(
    *ignore("target", because="the class is made in the constructor, its call is what is lifted"),
    *ignore("variables", "rngs", because="NNX lifts the whole module: its variables and random streams go along"),
    *same("static_argnums", "static_argnames", "donate_argnums", "device", "backend"),
    *refuse("methods", because="NNX lifts functions, so each method is lifted where it is called", allow=("None",)),
  ),
  positional=("target", "variables", "rngs", "static_argnums", "static_argnames", "donate_argnums", "device",
              "backend", "methods"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)  # fmt: skip
