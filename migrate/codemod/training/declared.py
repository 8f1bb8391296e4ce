"""What the rules of training programs ask of one another: each is written in the file of its own job."""

from __future__ import annotations

import ast
from collections.abc import Set
from typing import Any

from migrate.codemod.training.analysis import Analysis, Result
from migrate.codemod.training.program import File, Scope
from migrate.codemod.training.values import (
  Apply,
  Bound,
  Captured,
  Function,
  Recipe,
  Record,
  Self,
  Token,
  Train,
  Value,
  Wrap,
)


class Declared:
  """Methods by name, written in subclasses."""

  def eval(self, node: ast.expr) -> Result:
    """What an expression stands for, and what its new text is at run time."""
    raise NotImplementedError

  def call_function(self, function: Any, node: ast.Call) -> Result:
    """The call of a function of the program."""
    raise NotImplementedError

  def analyse(self, function: Function, given: dict[str, Value], node: ast.AST) -> tuple[Analysis, dict[Token, Token]]:  # fmt: skip
    """What is known of a function, and which model here is which one there."""
    raise NotImplementedError

  def rewrap(self, wrap: Any, analysis: Analysis, value: Value) -> None:
    """Writes a transform anew."""
    raise NotImplementedError

  def create(self, node: ast.Call, full: str) -> Result:
    """`TrainState.create(...)`."""
    raise NotImplementedError

  def replaced(self, node: ast.Call, state: Train) -> Result:
    """`state.replace(...)`."""
    raise NotImplementedError

  def apply_gradients(self, node: ast.Call, state: Train) -> Result:
    """`state.apply_gradients(...)`."""
    raise NotImplementedError

  def field(self, node: ast.Attribute, state: Train) -> Result:
    """What else a training state has."""
    raise NotImplementedError

  def rebind(self, target: ast.Name, value: Value) -> None:
    """A variable holds another value from now on."""
    raise NotImplementedError

  def name_record(self, scope: Scope, path: str, record: Record) -> None:
    """The models of an object have the names of its fields."""
    raise NotImplementedError

  def record_of(self, node: ast.expr) -> Record | None:
    """The object with training states in it that an expression gives."""
    raise NotImplementedError

  def record_field(self, node: ast.Attribute) -> Result | None:
    """What a field of such an object holds."""
    raise NotImplementedError

  def record_method(self, node: ast.Call, func: ast.Attribute) -> Result | None:
    """A method of such an object."""
    raise NotImplementedError

  def called_on(self, node: ast.Call, record: Record, name: str) -> Result | None:
    """A method that the class of such an object has."""
    raise NotImplementedError

  def method_of(self, node: ast.Attribute, record: Record) -> Result | None:
    """A method of such an object as a function."""
    raise NotImplementedError

  def class_method(self, node: ast.Call, full: str | None) -> Result | None:
    """A method of a class of such objects."""
    raise NotImplementedError

  def state_method(self, node: ast.Call, func: ast.Attribute, state: Train, form: object) -> Result | None:
    """A method that a TrainState class of the program has."""
    raise NotImplementedError

  def own_state(self, function: Function, analysis: Analysis, scope: Scope) -> Token | None:
    """The state that a method is of."""
    raise NotImplementedError

  def make_record(self, node: ast.Call, full: str | None) -> Result | None:
    """The construction of such an object."""
    raise NotImplementedError

  def instance(self, node: ast.Call, full: str | None) -> Result | None:
    """The construction of an object whose methods are followed."""
    raise NotImplementedError

  def captured_item(self, node: ast.Subscript, value: Captured, key: object) -> Result:
    """An entry of what a call gave beside its result."""
    raise NotImplementedError

  def captured_target(self, target: ast.expr) -> str:
    """The name of what was sown."""
    raise NotImplementedError

  def captured_again(self, target: ast.expr, source: ast.expr, value: Value) -> bool:
    """Whether a statement gives what was sown a name that it has already."""
    raise NotImplementedError

  def bind(self, node: ast.Call, recipe: Recipe) -> Result:
    """`model.bind(variables)`."""
    raise NotImplementedError

  def bind_partly(self, node: ast.Call, function: Apply) -> Result | None:
    """`functools.partial(model.apply, variables)`."""
    raise NotImplementedError

  def bound_call(self, node: ast.Call, bound: Bound, func: ast.Attribute | None = None) -> Result:
    """A call of a module that has its variables."""
    raise NotImplementedError

  def half_keep(self, token: Token) -> None:
    """What a call changed goes into variables or a name of this function."""
    raise NotImplementedError

  def not_older(self, node: ast.AST, value: Value) -> None:
    """Refuses statistics from before a call whose new ones went elsewhere."""
    raise NotImplementedError

  def lost(self, scope: Scope, value: Value, pending: Set[Token], half_kept: Set[Token]) -> bool:
    """Whether a function changes statistics of a model that it was given, and does not give them back."""
    raise NotImplementedError

  def given_first(self, file: File, method: ast.FunctionDef, first: Value | None) -> Function:
    """A method as a function whose first argument is given already."""
    raise NotImplementedError

  def follows(self, file: File, node: ast.ClassDef) -> bool:
    """Whether objects of a class are followed."""
    raise NotImplementedError

  def is_record(self, full: str | None) -> bool:
    """Whether a class is one of such objects."""
    raise NotImplementedError

  def second_name(self, node: Any, target: ast.expr, source: ast.expr, value: Value, form: Any) -> bool:
    """A second name of parameters or of a state; whether it has a copy of them."""
    raise NotImplementedError

  def note_bound(self, target: ast.expr, value: Value) -> None:
    """A variable holds something that is no part of a model."""
    raise NotImplementedError

  def old_name(self, text: str, value: Value | None) -> None:
    """A variable is used that is old."""
    raise NotImplementedError

  def given_twice(self, node: ast.Call, values: list[Value]) -> None:
    """A function is given a state and a second name of it."""
    raise NotImplementedError

  def _bind(self, target: ast.expr, value: Value) -> None:
    """A variable holds part of a model."""
    raise NotImplementedError

  def stored(self, node: ast.expr, value: Value, token: Token) -> bool:
    """Puts what was read without a target into the model."""
    raise NotImplementedError

  def state_text(self, token: Token, node: ast.AST) -> str:
    """The tree that a checkpoint holds."""
    raise NotImplementedError

  def only_when(self, mutable: ast.expr | None) -> str:
    """The argument that decides whether a call changes anything."""
    raise NotImplementedError

  def changed_or_not(self, node: ast.IfExp) -> Result | None:
    """What a call changed, if an argument says that it did."""
    raise NotImplementedError

  def late_or_not(self, node: ast.IfExp) -> Result | None:
    """What is asked of a training state that may be None."""
    raise NotImplementedError

  def asked_late(self, node: ast.expr) -> bool:
    """Whether a test asks for a training state that may be None; it asks for the optimizer then."""
    raise NotImplementedError

  def in_training(self, node: ast.If, first: dict[str, Value], second: dict[str, Value]) -> None:
    """What a call changed on one way, and None on the other."""
    raise NotImplementedError

  def settled(self, function: Function, node: ast.Call, value: Value, pending: set[Token]) -> Value:
    """What a function returns, once it is known whether its calls changed anything."""
    raise NotImplementedError

  def cond(self, node: ast.Call) -> Result | None:
    """`jax.lax.cond`."""
    raise NotImplementedError

  def scan(self, node: ast.Call) -> Result:
    """`jax.lax.scan`."""
    raise NotImplementedError

  def device_call(self, node: ast.Call, full: str | None) -> Result | None:
    """A function that copies a training state to the devices or back."""
    raise NotImplementedError

  def not_spread(self, token: Token, node: ast.AST) -> None:
    """Refuses what does not mean the same for a model on several devices."""
    raise NotImplementedError

  def changes(self, token: Token, node: ast.AST) -> None:
    """A call changes variables of a model."""
    raise NotImplementedError

  def keep(self, this: Self, target: ast.Attribute, value: Value) -> None:
    """An attribute of `self` holds a value from now on."""
    raise NotImplementedError

  def keep_made(self, token: Token) -> None:
    """A model takes the attribute of the module that it is made from."""
    raise NotImplementedError

  def settle(self, this: Self, node: ast.AST) -> None:
    """Refuses a method that leaves something old in an attribute."""
    raise NotImplementedError

  def refresh(self, this: Self) -> None:
    """What the attributes hold is up to date."""
    raise NotImplementedError

  def method(self, this: Self, name: str) -> Function:
    """A method of the class that is being read."""
    raise NotImplementedError

  def _read(self, function: Function, analysis: Analysis) -> None:
    raise NotImplementedError

  def read_plainly(self, function: Function, caller: ast.AST | None = None) -> None:
    """Reads a function that something else calls."""
    raise NotImplementedError

  def decorated(self, function: Function) -> Function:
    """A function with what its decorators make of it."""
    raise NotImplementedError

  def make_partial(self, token: Token) -> None:
    """A module that leaves its function before it has variables becomes a partial of its class."""
    raise NotImplementedError

  def erase(self, statement: ast.stmt, file: File) -> None:
    """Takes a statement away."""
    raise NotImplementedError

  def construct(self, node: ast.Call, full: str | None) -> Result | None:
    """The construction of a module."""
    raise NotImplementedError

  def apply(self, node: ast.Call, function: Apply) -> Result:
    """A call of a model through `apply` or `init`."""
    raise NotImplementedError

  def checkpoint(self, node: ast.Call, full: str | None) -> Result | None:
    """A function of a checkpoint library."""
    raise NotImplementedError

  def checkpoint_method(self, node: ast.Call, func: ast.Attribute, base: Value) -> Result | None:
    """A method of a checkpointer."""
    raise NotImplementedError

  def apply_function(self, node: ast.Call, maker: ast.Call) -> Result:
    """`nn.apply(f, module)(variables, ...)`."""
    raise NotImplementedError

  def same_init(self, one: Token, other: Token) -> bool:
    """Whether two models of a statement are made alike."""
    raise NotImplementedError

  def handed_on(self, function: Function) -> Apply | None:
    """`model.init` where a function does no more than to hand its arguments on to it."""
    raise NotImplementedError

  def optax_method(self, node: ast.Call, func: ast.Attribute) -> Result | None:
    """`tx.init(params)` and `tx.update(grads, opt_state, params)`."""
    raise NotImplementedError

  def optax_function(self, node: ast.Call, full: str) -> Result | None:
    """A function of Optax that is given a mask or labels."""
    raise NotImplementedError

  def apply_updates(self, node: ast.Call) -> Result:
    """`optax.apply_updates(params, updates)`."""
    raise NotImplementedError

  def anything(self, node: ast.stmt) -> None:
    """A statement that has no rule."""
    raise NotImplementedError

  def member_text(self, scope: Scope, token: Token, node: ast.AST) -> str | None:
    """How a model is reached through those that it is trained with."""
    raise NotImplementedError

  def group_dict(self, node: ast.Dict, found: Any) -> Result | None:
    """`{"actor": actor_params, "critic": critic_params}`."""
    raise NotImplementedError

  def group_call(self, node: ast.Call) -> Result | None:
    """`dict(actor=actor_params, critic=critic_params)`."""
    raise NotImplementedError

  def group_tuple(self, node: ast.Tuple, found: list[Result]) -> Result | None:
    """`(actor_params, critic_params)`, where one optimizer has both."""
    raise NotImplementedError

  def group_later(self, value: Value) -> bool:
    """Remembers that the parameters of a tuple have one optimizer."""
    raise NotImplementedError

  def member(self, node: ast.Subscript) -> Result | None:
    """`params["actor"]`."""
    raise NotImplementedError

  def members_of(self, value: Value, node: ast.expr) -> Value:
    """The parameters of several models one by one, where they were a tuple."""
    raise NotImplementedError

  def put_member(self, target: ast.Subscript, value: Value) -> bool:
    """`params["actor"] = actor_params`."""
    raise NotImplementedError

  def came_back(self, scope: Scope, name: str, value: Value) -> Value:
    """The statistics of a model, where what a call changed takes the place of those that it was given."""
    raise NotImplementedError

  def bind_plain(self, target: ast.expr, value: Value) -> None:
    """A variable holds something that is no part of a model."""
    raise NotImplementedError

  def block(self, body: list[ast.stmt]) -> bool:
    """Reads statements; whether the end is reached."""
    raise NotImplementedError

  def mean_over_devices(self, function: Function, node: ast.Call) -> Result | None:
    """Statistics of which all devices get the mean."""
    raise NotImplementedError

  def enter_devices(self, wrap: Wrap, function: Function, given: dict[str, Value], node: ast.Call) -> set[Token]:
    """Checks how models are given to a pmapped function. Returns which are on several devices."""
    raise NotImplementedError

  def on_devices(self, wrap: Wrap, function: Function, analysis: Analysis, value: Value, node: ast.Call) -> None:
    """Writes axes and arguments of a pmapped function for what it is given now."""
    raise NotImplementedError
