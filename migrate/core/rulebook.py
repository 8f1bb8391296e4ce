"""Every rule that a finding may carry: its id never changes, and docs/rules has a page for it."""

from __future__ import annotations

import dataclasses

from migrate.core.report import Severity


@dataclasses.dataclass(frozen=True)
class RulePage:
  """What is known of a rule.

  Attributes:
    id: as findings carry it; never given to another rule.
    title: one line.
    severity: the gravest that its findings have.
    why: what stands in the way, or what the user should look at.
    do: what the user can do.
    before: source that the rule is about, if that helps.
    after: what is written for it, if anything.
  """

  id: str
  title: str
  severity: Severity
  why: str
  do: str
  before: str = ""
  after: str = ""


GROUPS = {
  "L2N1": "Modules: classes of Linen, rewritten as classes of NNX",
  "L2N2": "Plans: every leaf of a checkpoint has one fate",
  "L2N3": "Mappings that are derived by running both models",
  "L2N4": "Training code: init, apply, training states, optimizers, checkpoints",
}

RULES = (
  RulePage(
    "L2N100", "a construct without a rewriting", "error",
    "The statement does something that has no rewriting yet, and an example reaches it. It stays as it was under a "
    "`TODO(linen2nnx)`, so the ported class does not run without an edit.",
    "Rewrite the statement by hand; `linen2nnx verify` then compares both models again.",
  ),
  RulePage(
    "L2N101", "a class that can't be rewritten", "error",
    "A construct decides how the class as a whole is written, and its meaning in NNX is not certain. The class stays Linen.",
    "Write the construct in another way in the Linen class, which can still be tested there, and port again.",
  ),
  RulePage(
    "L2N102", "a value that only a call knows is needed at construction", "error",
    "NNX makes parameters in `__init__`. The size or argument of a layer is computed from something that only a call has, "
    "so `__init__` could not compute it.",
    "Compute it from fields, constants and shapes.",
    before='class Net(nn.Module):\n  @nn.compact\n  def __call__(self, x, table):\n    return nn.Dense(int(table["width"]))(x)\n',
  ),
  RulePage(
    "L2N103", "a construct without a rewriting, where no example comes", "eye",
    "As L2N100, in code that no example runs: what was proven does not include it.",
    "Give an example that reaches it, or rewrite it by hand.",
  ),
  RulePage(
    "L2N104", "a size that no example settles", "eye",
    "A layer is made where no example comes, or two ways to write its size agree in all examples. The most likely one was written.",
    "Check the size, or give an example that makes the layer.",
  ),
  RulePage(
    "L2N105", "a decorator that reads dataclass fields was left out", "eye",
    "A Linen class is a dataclass and an NNX class is not, so the decorator would find no fields.",
    "Put it back once it takes an NNX module.",
  ),
  RulePage(
    "L2N106", "a function that makes layers stays as it was", "error",
    "The function makes layers for its caller, and its calls differ in a way that can't be written as constructor and call.",
    "Make it a Module, or a method of the class that calls it.",
  ),
  RulePage(
    "L2N107", "a dtype that only a call knows", "note",
    "A layer is given the dtype of an argument. `__init__` has no argument, so the dtype that was traced was written.",
    "Give the dtype as a field where it may differ.",
  ),
  RulePage(
    "L2N108", "an untraced read of a submodule's variables", "eye",
    "Variables of another module are read where no example comes, so their attribute path was guessed from the names.",
    "Check the attribute path, or give an example that reaches it.",
  ),
  RulePage(
    "L2N109", "whether a collection is mutable differs between the calls", "eye",
    "`is_mutable_collection` is True in some calls and False in others, of a collection that only the call names or that "
    "modules sow into. NNX state can always be changed: True was written.",
    "Give the method an argument that says what the caller wants.",
  ),
  RulePage(
    "L2N110", "a module class that no example reaches", "eye",
    "NNX makes parameters at construction and must be told their sizes. Only an example tells them, so the class stays Linen.",
    "Give an example: `--example path/file.py:function`, where the function returns `migrate.Example(module, args)`.",
  ),
  RulePage(
    "L2N111", "a file of the model is not among the files to rewrite", "error",
    "An example reaches classes in a file that was not given, so the model would be half Linen.",
    "Give the file's path to `linen2nnx codemod` too.",
  ),
  RulePage(
    "L2N112", "a field that the NNX layer does not keep", "note",
    "Code reads a field of a Linen layer that NNX's layer has no attribute for. It had one value wherever it was read: that was written.",
    "Nothing, unless the field may differ: then keep it in a field of the class that makes the layer.",
  ),
  RulePage(
    "L2N113", "a class found in a table of Linen classes", "eye",
    "The source looks a class up, in a dict or by its name in a module, and the table itself is not ported. The classes "
    "that the examples found there were written.",
    "Add the other classes of the table, or give examples that find them.",
  ),
  RulePage(
    "L2N114", "what a lifted transform or a variable is told by a field", "note",
    "`variable_axes`, `variable_broadcast`, `variable_carry` or `split_rngs` of `nn.scan` or `nn.vmap` is a field, or the "
    "collection of a variable. It had one value wherever an example came: NNX's transform, or the Variable type, was written for it.",
    "Nothing, unless the field may differ: then change the arguments of the transform, or the type of the variable, with it.",
  ),
  RulePage(
    "L2N115", "a first value that the inputs give", "eye",
    "The initializer of a parameter reads the inputs of the first call, as the activation norm of a flow does. An NNX module "
    "makes its parameters before it sees any: the parameter begins as zeros of its shape. Converted checkpoints are not "
    "concerned, they hold its value.",
    "Before a new model is trained, set the parameter from a batch, as the initializer in the finding does.",
  ),
  RulePage(
    "L2N116", "a construction without sizes and `rngs`", "eye",
    "A module of NNX is made with its sizes and `rngs`, which Linen's was not. A function that makes a model, returns it and "
    "is called by nothing takes them as arguments of its own now (a note). Any other such construction, of which neither an "
    "example nor a program tells the sizes, stays as it was and raises.",
    "Give the construction what the finding names.",
    before="def small(classes):\n  return Net(classes)\n",
    after="def small(in_features, classes, *, rngs):\n  return Net(in_features, classes, rngs=rngs)\n",
  ),
  RulePage(
    "L2N117", "an argument that NNX's layer lacks is left out", "eye",
    "A Linen layer is given an argument that NNX's layer has no place for, and in every example it was None, which is to do "
    "without.",
    "Do without another value too, or give an example that has one: then the class is left with a finding that says why.",
  ),
  RulePage(
    "L2N118", "whether a collection may change is asked for", "note",
    "Linen's callers say with `apply(..., mutable=[...])` which collections may change, and `is_mutable_collection` asks for "
    "it. An NNX module is told by an attribute: `use_running_average` for `batch_stats`, which `model.train()` and "
    "`model.eval()` set as they set that of `nnx.BatchNorm`, and `update_<collection>` for others.",
    "Call `model.train()` where Linen's caller gave `mutable=['batch_stats']`, and `model.eval()` where not; "
    "`model.set_attributes(update_cache=False)` for what is not NNX's own.",
  ),
  RulePage(
    "L2N119", "a field takes a function that makes a module", "note",
    "The class copies a module that it is handed (`self.block.copy()`), or gives it to `nn.vmap` or `nn.scan`, which make it "
    "once for every step: each has parameters of its own. An NNX module is made when it is handed over, so the field takes a "
    "function of `nnx.Rngs` that makes one, and the class makes as many as it needs.",
    "Where you make the class yourself, give it a function: `Mixture(lambda rngs: Expert(5, 8, rngs=rngs), ...)`.",
  ),
  RulePage(
    "L2N120", "a file that can't be read", "error",
    "It does not parse, or it is not in UTF-8. It stays byte for byte as it was.",
    "Mend the file.",
  ),
  RulePage(
    "L2N121", "skipped on request", "note",
    "`# linen2nnx: skip` stands in it. Functions that are given the same model stay as they were too, because they fit no other form.",
    "Take the comment away when it has served its purpose.",
  ),
  RulePage(
    "L2N122", "classes that no example runs", "note",
    "A class that an example runs speaks of them, in a branch that the example does not take. They were rewritten from their source "
    "alone, without a run that tells sizes, and no proof covers them.",
    "Give an example that runs them (another configuration of the same model), or read them before you use them.",
  ),
  RulePage(
    "L2N123", "an argument of a call that construction reads now", "eye",
    "A layer is made with an argument of the call (`def __call__(self, x, dtype=jnp.float32)`). NNX makes layers before any "
    "call: `__init__` takes the argument too, under the same name and with the same default, and the modules of the examples "
    "give it there. The call's own argument stays, so that callers need no edit, but nothing reads it.",
    "Give the value to the constructor wherever a caller gives one that is not the default; then the call needs no such argument. "
    "Where there is no default it is a note: the constructor asks for it.",
    before="def __call__(self, x, dtype=jnp.float32):\n  return nn.Dense(8, dtype=dtype)(x)\n",
    after="def __init__(self, in_features: int, *, dtype=jnp.float32, rngs: nnx.Rngs):\n"
    "  self.dense = nnx.Linear(in_features, 8, dtype=dtype, rngs=rngs)\n",
  ),
  RulePage(
    "L2N124", "a module keeps what it sows", "note",
    "In Linen `sow` does nothing unless the caller makes the collection mutable. In NNX the module keeps what it sows as a "
    "Variable that grows with every call, and a jitted function compiles anew each time. Under `nnx.capture` (flax 0.12.6) it "
    "keeps nothing; training code that is rewritten here calls it so.",
    "Call `nnx.capture(model, nnx.Intermediate)(x)` for what is sown beside the result, `nnx.capture(model)(x)` to sow nothing.",
    before='self.sow("intermediates", "features", x)\n',
    after='self.sow(nnx.Intermediate, "features", x)\n',
  ),
  RulePage("L2N201", "a rule of a mapping that is wrong by form", "error",
           "A side is missing, captures differ, a reason is not given.", "Correct the rule as the finding says."),
  RulePage("L2N202", "two rules for one leaf", "error",
           "Both match, and neither is more particular.", "Remove one, or make one a ** pattern that contains the other."),
  RulePage("L2N203", "shapes, dtypes or axes that disagree", "error",
           "The leaf does not fit the place that the plan has for it.", "Correct the rule or the model's sizes."),
  RulePage("L2N204", "a rule that matches nothing", "error",
           "A rule names a path that is not there, which is usually a misspelling.", "Correct or remove the rule."),
  RulePage("L2N205", "a leaf without a place", "error",
           "No rule names the leaf and the model has no variable of its path.", "Add `move(...)`, or `drop(..., because=...)`."),
  RulePage("L2N206", "a variable that nothing fills", "error",
           "The model has a variable that the checkpoint has not.", "Add `move(...)`, or `fresh(..., because=...)`."),
  RulePage("L2N207", "a variable of another type than its collection", "error",
           "Parameters must fill an `nnx.Param`, and other collections something else, or the optimizer would train the wrong ones.",
           "Make the attribute the right type, or name the type in the rule."),
  RulePage("L2N211", "moments of a tied parameter", "error",
           "The parameter is another one's, so its moments have no place.", "Start the optimizer anew."),
  RulePage("L2N212", "moments of a part of what is joined", "error",
           "Some of the parameters that are joined have moments and some have none.", "Mask all of them or none."),
  RulePage("L2N213", "moments that the operations can't move", "error",
           "An operation does more than lay values out, so that a moment moved by it would be wrong.",
           "Start the optimizer anew, or keep the leaves separate in the NNX model."),
  RulePage("L2N214", "a moment that the new optimizer does not have", "error",
           "The Optax transformations differ.", "Build the optimizer with the same transformation, in the same order."),
  RulePage("L2N215", "optimizer state that nothing fills", "error",
           "The Optax transformations differ.", "Build the optimizer with the same transformation, in the same order."),
  RulePage("L2N216", "optimizer state that is no tree of parameters", "error",
           "A part of the state is shaped like the parameters only in part.", "Write an optimizer mapping for the transformation."),
  RulePage("L2N221", "a fresh variable in a checkpoint", "error",
           "A checkpoint has no value for it.", "Use `migrate.restore`, which fills a live model."),
  RulePage("L2N222", "other updates than before", "error",
           "The transformation looks at whole tensors, and the parameters are joined or taken apart; or one parameter becomes two, "
           "which are then trained apart.",
           "Keep the parameters as they were in the model, or accept it with `--allow-optimizer-change`."),
  RulePage("L2N223", "one vector of all parameters", "error",
           "`optax.flatten` keeps moments in the order of the parameters, which changes.", "Train on without `optax.flatten`."),
  RulePage("L2N231", "two annotations for one variable", "error",
           "The checkpoint's partitioning names other axes than the model's own annotation.",
           "Annotate the model alike, or leave partitioning out: the model's own annotation then stays."),
  RulePage("L2N301", "the ported model calls something else", "error",
           "Run side by side, the two models call different layers.", "Compare the rewritten source there with the original."),
  RulePage("L2N302", "the ported model raised", "error",
           "The rewritten source was run once, abstractly, and raised: it holds something that only Linen modules have.",
           "Look at the line; the original is beside it."),
  RulePage(
    "L2N400", "training code whose model is not NNX yet", "eye",
    "Training code is rewritten together with its model. No module class was rewritten in this run, or nothing in the files calls "
    "the function with a training state.",
    "Give an example of the model with `--example`, and the files that call the function.",
    before=(
      "def create(key):\n  model = Net(features=3)\n  variables = model.init(key, jnp.ones((1, 7)))\n"
      '  return TrainState.create(apply_fn=model.apply, params=variables["params"], tx=tx)\n'
    ),
    after=(
      "def create(key):\n  model = Net(in_features=7, features=3, rngs=nnx.Rngs(key))\n"
      "  return model, nnx.Optimizer(model, tx, wrt=nnx.Param)\n"
    ),
  ),
  RulePage(
    "L2N401", "a part of a model that can't be followed", "error",
    "Parameters, statistics or the training state go into something that has no rule: an attribute, a container, a function of a "
    "library. What NNX should hand over there is not certain, so everything that is trained together stays as it was.",
    "Rewrite this use by hand, or take it out of the training code, and run the codemod again.",
    before="history.append(state.params)\n",
  ),
  RulePage(
    "L2N402", "variables that are not the model's own", "error",
    "A module is applied to variables of another module, or to something that is not known to be a tree like its own parameters. "
    "An NNX model has its variables in itself. What `jax.tree.map` and `optax.incremental_update` make of its parameters is "
    "known, and a call with that is rewritten.",
    "Make a second model for them: `nnx.merge(nnx.graphdef(model), state)`.",
    before='model.apply({"params": load("average")}, x)\n',
  ),
  RulePage(
    "L2N403", "a value that is used after it was updated", "error",
    "Linen's values are never changed, so an old training state can still be read after a step. An NNX model changes in place.",
    "Use what the update returned, or keep `nnx.clone(model)` where the old one is needed.",
    before="new_state, loss = step(state, batch)\nchange = norm(new_state.params, state.params)\n",
  ),
  RulePage(
    "L2N404", "statistics that are thrown away, or read before they are kept", "error",
    "A call changes `batch_stats`, and what it changed does not go into the state before the next call or the end of the function. "
    "An NNX model would keep it.",
    "Put what the call returns into the state, or call without `mutable=` and with `train=False`.",
    before='logits, _ = model.apply(variables, x, train=True, mutable=["batch_stats"])\n',
  ),
  RulePage(
    "L2N405", "a training state with more in it", "error",
    "The TrainState class has methods, or fields that hold another model's parameters, have computed defaults, or are saved in a "
    "checkpoint. Other fields beyond the collections of the model become attributes of an `nnx.Optimizer`.",
    "Keep them in variables of their own.",
    before="class TrainState(train_state.TrainState):\n  def averaged(self):\n    return self.params\n",
  ),
  RulePage(
    "L2N406", "intermediates", "error",
    "`capture_intermediates` and `mutable=['intermediates']` return what modules sow. NNX has `nnx.capture` for it, and gives "
    "an `nnx.State` under the names of the NNX modules. It is written where every name that is asked for is known "
    "(`state[\"intermediates\"][\"Block_1\"][\"features\"][0]`), and left where what was sown is used as a whole, or lies in a "
    "collection of your own.",
    "Call `nnx.capture(model, nnx.Intermediate)` by hand.",
  ),
  RulePage(
    "L2N407", "a mask or labels as a tree", "error",
    "Optax compares the tree with the parameters. NNX's are an `nnx.State`, and a dict raises. Trees that are made from the parameters are "
    "wrapped; one that is written out, or that asks for a name which the NNX model has not in the same place, is left.",
    "Ask for the names that the NNX model has, or make it a function of the parameters.",
    before='optax.masked(optax.add_decayed_weights(0.1), {"Dense_0": {"kernel": True, "bias": False}})\n',
  ),
  RulePage(
    "L2N408", "what was written does not parse", "error",
    "A fault of linen2nnx: the new text of a file was no Python, or reading the program failed. Everything that is trained together "
    "stays as it was.",
    "Report it with the file.",
  ),
  RulePage(
    "L2N411", "initial values are drawn anew", "note",
    "Linen derives the key of a parameter from its path, NNX counts. The distributions are the same, the numbers are not.",
    "Convert a checkpoint of the Linen program where the numbers must be the same.",
  ),
  RulePage(
    "L2N412", "a size of the example in a program", "eye",
    "The model's constructor wants a size that `init` found in its arguments, and the program's arguments don't show it. "
    "The example's was written.",
    "Check that the program's model has that size too.",
  ),
  RulePage(
    "L2N413", "a checkpoint of another form", "eye",
    "The program writes and reads `{\"model\": ..., \"optimizer\": ...}` now, where it had a TrainState. "
    "It can't read its older checkpoints.",
    "Convert them with `linen2nnx convert`, or give `--checkpoint` and `--checkpoint-out`.",
    before="checkpoints.save_checkpoint(workdir, state, step)\n",
    after=(
      'target = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}\n'
      "checkpoints.save_checkpoint(workdir, target, step)\n"
    ),
  ),
  RulePage(
    "L2N414", "an example of a model that is NNX now", "note",
    "The example shows the Linen model. Once the files are written it raises, because the class takes other arguments.",
    "Take it away, or keep it with a copy of the Linen code.",
  ),
  RulePage(
    "L2N415", "a mask that sees other paths", "eye",
    "The function that makes a mask or labels is called with a dict of the NNX model's parameters: attribute names in the place of "
    "Linen's module names. Last names (`kernel`, `bias`, `scale`, `embedding`) and shapes are the same, unless gates were joined.",
    "Check that the function asks for nothing else.",
    before="optax.adamw(1e-3, mask=decay_mask)\n",
    after="optax.adamw(1e-3, mask=lambda params: nnx.State(decay_mask(nnx.to_pure_dict(params))))\n",
  ),
  RulePage(
    "L2N416", "training on several devices by pmap", "error",
    "`jax.pmap` steps over a replicated training state become `nnx.pmap`, over a model whose arrays are replicated. What is left: states "
    "with more fields, `pmap` beside other transforms, a replicated state that is used outside of it, axes that are computed.",
    "Train with `jax.jit` and a batch that is sharded over a mesh, then run the codemod.",
    before='state = jax_utils.replicate(state)\nstep = jax.vmap(jax.pmap(train_step, axis_name="batch"))\n',
  ),
  RulePage(
    "L2N417", "outputs of doctests", "eye",
    "With `--doctests`, the examples of docstrings are rewritten. The outputs below them stay as they are, and an NNX model may show "
    "something else: other initial values, a State in the place of a dict.",
    "Run the doctests and correct what differs.",
    before='>>> variables = model.init(jax.random.key(0), x)\n>>> model.apply(variables, x).shape\n(2, 5)\n',
    after='>>> model = Net(in_features=x.shape[-1], features=5, rngs=nnx.Rngs(jax.random.key(0)))\n>>> model(x).shape\n(2, 5)\n',
  ),
  RulePage(
    "L2N418", "an argument of init that did something", "eye",
    "`model.init(key, next(batches))` took a batch from the iterator. An NNX model is made without inputs, so nothing is "
    "taken, and the first training step sees the batch that Linen's `init` saw.",
    "Call it by itself (`next(batches)`) if the order of what follows must stay.",
    before="params = model.init(key, next(batches))[\"params\"]\n",
    after="model = Model(in_features=7, rngs=nnx.Rngs(key))\n",
  ),
  RulePage(
    "L2N419", "a jitted apply", "note",
    "`jax.jit(model.apply)` compiled every call of the model. An NNX model is called as it is: inside a function under "
    "`nnx.jit` that is compiled, outside of one it runs operation by operation, with the same result.",
    "Put calls outside of a jitted function into one: `@nnx.jit` on `def predict(model, x): return model(x)`.",
    before="apply = jax.jit(model.apply)\ny = apply({\"params\": params}, x)\n",
    after="y = model(x)\n",
  ),
)  # fmt: skip


def rule(id_: str) -> RulePage | None:
  """The rule of an id."""
  return next((r for r in RULES if r.id == id_), None)
