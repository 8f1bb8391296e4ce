"""What becomes of every construct, and what holds the claim: a test by its place, or the rule of the finding.

Read by docs/generate.py; tests/test_docs.py fails where a test or a rule is not there.
"""

from __future__ import annotations

C = "tests/codemod/"
T = f"{C}training/"
LEFT = "left, with a finding"
REFUSED = "refused when both models are run side by side"

# group -> (construct, what becomes of it, held by)
CONSTRUCTS: dict[str, tuple[tuple[str, str, str], ...]] = {
  "Modules": (
    ("compact methods", "the layers move to `__init__`, the rest stays", f"{C}test_calls.py::test_class_names_become_attribute_names"),
    ("`setup`", "becomes `__init__`", f"{C}test_setups.py::test_setup_becomes_init"),
    ("several methods that share layers", "rewritten", f"{C}test_methods.py::test_methods_that_share_layers"),
    ("methods that no example runs", "ported with guessed sizes, each named", f"{C}test_unreached.py::test_parts_that_only_another_method_runs_are_ported"),
    ("`nn.nowrap`, methods and functions that make layers", "rewritten", f"{C}test_factories.py::test_method_that_setup_calls"),
    ("inheritance of fields and methods, `super()`", "rewritten", f"{C}test_inheritance.py::test_inheritance_of_fields_and_methods"),
    ("subclasses of layers of a library", "rewritten", f"{C}test_stock_subclasses.py::test_subclass_with_a_setup_of_its_own"),
    ("abstract methods, protocols", "rewritten", f"{C}test_interfaces.py::test_abstract_method_that_nobody_wrote"),
    ("fields with defaults, `field(...)`, mutable defaults", "arguments of `__init__`", f"{C}test_inits.py::test_defaults_of_every_sort"),
    ("`kw_only` fields", "rewritten", f"{C}test_inits.py::test_keyword_only_fields"),
    ("`__post_init__`", "runs in `__init__`", f"{C}test_classes.py::test_post_init_runs_in_init"),
    ("class variables, properties, static methods", "stay", f"{C}test_methods.py::test_properties_class_variables_and_static_methods_stay"),
    ("dataclass decorators of a project", "stay, or are left out with a finding", f"{C}test_dataclasses_kept.py::test_class_stays_a_dataclass_for_its_decorator"),
    ("functions that take the module and make parameters in it", "rewritten", f"{C}test_abroad.py::test_function_of_another_file_called_in_a_loop"),
    ("functions, closures and lambdas that make layers", "rewritten", f"{C}test_makers.py::test_function_keeps_its_place_and_gets_sizes_and_rngs"),
    ("classes made by a function", LEFT, "L2N101"),
    ("every import spelling, aliases, re-exports", "matched by what they resolve to", f"{C}test_unit.py::test_every_import_spelling_gives_the_same_class"),
  ),
  "Submodules": (
    ("automatic names", "followed as Linen counts them", f"{C}test_sites.py::test_outer_layer_takes_its_number_first"),
    ("`name=` with formatted strings", "rewritten", f"{C}test_sites.py::test_name_that_is_a_formatted_string"),
    ("`name=` that is no identifier", "rewritten under a readable name", f"{C}test_sites.py::test_name_that_is_no_identifier"),
    ("layers called twice (shared weights)", "one attribute", f"{C}test_sites.py::test_shared_layer_called_twice_is_made_once"),
    ("layers in comprehensions", "`nnx.List`", f"{C}test_comprehensions.py::test_layers_are_gone_through_beside_what_made_them"),
    ("layers in lists and dicts of `setup`", "`nnx.List`, `nnx.Dict`", f"{C}test_setups.py::test_setup_with_dictionaries_of_layers"),
    ("`nn.Sequential`", "`nnx.Sequential`", f"{C}test_pipelines.py::test_sizes_go_from_layer_to_layer"),
    ("conditionals on fields", "guard the construction", f"{C}test_compound.py::test_conditional_on_a_field_guards_construction"),
    ("conditionals on an argument (`train`)", "guard nothing", f"{C}test_compound.py::test_conditional_on_a_call_argument_guards_nothing"),
    ("`match`", "rewritten", f"{C}test_matches.py::test_layers_made_in_cases_move_to_init_under_the_same_match"),
    ("loops over range, sequences, zip, enumerate, while", "`nnx.List`", f"{C}test_compound.py::test_loop_over_a_range_makes_a_list_by_index"),
    ("loops over the inputs", "rewritten", f"{C}test_rounds.py::test_loop_over_the_inputs_makes_one_layer_each"),
    ("layers, classes, partials and callables as fields", "given sizes where they are called", f"{C}test_partials.py::test_partial_fields_of_layers"),
    ("modules that are shared or passed in", "rewritten", f"{C}test_sites.py::test_layer_passed_to_a_function"),
    ("`bind`, `init` and `apply` of a module inside another", LEFT, "L2N101"),
    ("`clone` and `copy` of a module inside another", REFUSED, "L2N302"),
    ("modules that only `init` builds", "made in `__init__`, parameters carried", f"{C}test_ledger.py::test_layers_that_only_init_runs_keep_their_parameters"),
    ("module classes inside others", "rewritten in their place", f"{C}test_classes.py::test_module_class_inside_another"),
    ("functions of any file that make and call layers", "take their layers from the caller", f"{C}test_abroad.py::test_function_of_another_file_called_in_a_loop"),
    ("functions that take the module and make parameters in it", "rewritten", f"{C}test_abroad.py::test_function_that_takes_the_module_and_makes_parameters_in_it"),
  ),
  "Parameters and variables": (
    ("`self.param` with shapes from inputs", "`nnx.Param`, sizes by data flow", f"{C}test_variables.py::test_parameter_shape_follows_other_sizes"),
    ("`self.variable`, caches", "Variables of `__init__`", f"{C}test_variables.py::test_running_statistics"),
    ("collections of one's own", "a Variable type each", f"{C}test_variables.py::test_collection_of_the_user_s_own_gets_a_type"),
    ("decode mode", "`nnx.Cache`", f"{C}test_services.py::test_cache_of_decoding"),
    ("`put_variable`, `get_variable`, `has_variable`", "attributes", f"{C}test_services.py::test_put_and_get_variable"),
    ("`is_mutable_collection`", "an attribute that `train()`, `eval()` or `set_attributes` sets", f"{C}test_services.py::test_mutable_collection_asked_for_is_told_by_train_and_eval"),
    ("`make_rng`", "`nnx.Rngs`", f"{C}test_services.py::test_rng_of_the_user_s_own"),
    ("`sow`", "`nnx.Intermediate`", f"{C}test_services.py::test_sown_values_become_intermediates"),
    ("`get_variable` of a submodule", "its attribute", f"{C}test_services.py::test_variables_of_a_layer_read_by_name"),
    ("`perturb`", "`nnx.Perturbation`", f"{C}test_services.py::test_perturbed_values"),
    ("`self.scope`", REFUSED, "L2N302"),
    ("`nn.merge_param`", "rewritten", f"{C}test_services.py::test_merge_param_of_field_and_argument"),
    ("`nn.share_scope`, parameters in boxes with axis names", "told in the mapping", f"{C}test_ledger.py::test_modules_of_one_class_that_share_a_scope"),
    ("parameters that are trees", "trees of `nnx.Param`", f"{C}test_services.py::test_parameters_that_are_trees"),
  ),
  "Layers": (
    ("every public layer", "by its record, see above", "tests/mappings/test_layers.py::test_every_public_layer_has_a_record_or_a_reason"),
    ("activations, pooling, attention, initializers, masks", "by what they resolve to", f"{C}test_names.py::test_every_activation_has_the_very_same_function"),
  ),
  "Transforms": (
    ("`nn.scan` of a class, a method, a cell", "templates with Linen's arguments, or `nnx.scan`", f"{C}test_lifted.py::test_scanned_cell_with_its_carry"),
    ("`nn.remat`, `nn.checkpoint`", "a template with Linen's arguments", f"{C}test_transforms.py::test_remat_of_a_class"),
    ("`nn.vmap`", "a template with Linen's arguments", f"{C}test_transforms.py::test_vmap_of_a_class"),
    ("`nn.RNN`, `nn.Bidirectional`", "`nnx.RNN`, `nnx.Bidirectional`", f"{C}test_sites.py::test_every_layer_agrees"),
    ("`nn.jit` of a method", "lifted", f"{C}test_methods.py::test_lifted_methods"),
    ("`nn.jit`, `nn.map_variables`, `nn.remat_scan` of a class in a compact method", LEFT, "L2N102"),
    ("`nn.while_loop`, `nn.cond`, `nn.switch`", LEFT, "L2N100"),
    ("`nn.grad`, `nn.value_and_grad`, `nn.vjp`, `nn.jvp`, `nn.custom_vjp`", LEFT, "L2N100"),
  ),
  "Training code": (
    ("`init`, `apply`, variables spelled out, `mutable=`, `method=`", "construction and calls", f"{T}test_reader.py::test_state_with_statistics_becomes_model_and_optimizer"),
    ("`rngs=` of a call", "`nnx.reseed`", f"{T}test_reader.py::test_dropout_keys_reseed_the_model"),
    ("`init_with_output`, `tabulate`", "a call, `nnx.tabulate`", f"{T}test_losses.py::test_init_with_output_and_table"),
    ("`model.init(...)` used as parameters", "the model", f"{T}test_losses.py::test_all_variables_as_parameters"),
    ("`TrainState`, with `batch_stats`", "model and `nnx.Optimizer`", f"{T}test_reader.py::test_state_with_statistics_becomes_model_and_optimizer"),
    ("`TrainState` with keys, metrics, averages", "a subclass of `nnx.Optimizer`", f"{T}test_states.py::test_key_in_the_state"),
    ("`TrainState` with methods", LEFT, "L2N405"),
    ("classes that keep the state in `self`", "`self.model`, `self.optimizer`", f"{T}test_trainers.py::test_state_in_an_attribute"),
    ("`jax.grad`, `value_and_grad`, `jit` and their arguments", "`nnx.grad`, `nnx.jit`", f"{T}test_patterns.py::test_gradients_and_update_in_functions_of_their_own"),
    ("Optax by hand, `optax.apply_updates`", "`nnx.Optimizer`", f"{T}test_reader.py::test_optimizer_by_hand"),
    ("`jax.lax.scan` over steps", "`nnx.scan`", f"{T}test_losses.py::test_scan_over_steps"),
    ("averages of parameters, and calls with them", "`jax.tree.map` over `nnx.state`, `nnx.merge`", f"{T}test_states.py::test_average_of_parameters_beside_the_state"),
    ("two models in one step", "rewritten", f"{T}test_patterns.py::test_two_models_in_one_step"),
    ("masks and labels that are functions", "wrapped", f"{T}test_reader.py::test_masks_over_parameters_are_wrapped"),
    ("masks and labels that are trees", LEFT, "L2N407"),
    ("`flax.training.checkpoints`, Orbax checkpointers and managers", "model and optimizer", f"{T}test_patterns.py::test_init_in_a_jitted_function_and_aux_under_one_name"),
    ("`freeze`, `unfreeze`, `flax.core.pop`", "gone", f"{T}test_patterns.py::test_init_in_a_jitted_function_and_aux_under_one_name"),
    ("`capture_intermediates`, `mutable=['intermediates']`", LEFT, "L2N406"),
    ("`pmap`, `replicate`", LEFT, "L2N416"),
    ("`nn.apply`, `jax.lax.fori_loop` over steps, single parameters by their Linen names", LEFT, "L2N401"),
    ("statistics that are thrown away", LEFT, "L2N404"),
    ("a state that is used after its update", LEFT, "L2N403"),
  ),
  "Documents": (
    ("notebooks", "cells rewritten, outputs and metadata stay", f"{C}test_notebooks.py::test_nothing_changed_gives_the_same_bytes_law"),
    ("Markdown fences, doctests", "on request", "tests/workflows/test_codemod.py::test_documentation_is_rewritten_on_request"),
  ),
}  # fmt: skip
