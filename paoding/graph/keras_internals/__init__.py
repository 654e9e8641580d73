"""The one place that touches what Keras keeps private: its nodes, histories and containers."""

from paoding.graph.keras_internals.calling import (
    answers,
    ask,
    call,
    call_to_learn,
    learnable,
    run,
    signature_of_one,
)
from paoding.graph.keras_internals.cloning import (
    allow_export,
    clone,
    config_of,
    copy_compilation,
    copy_own_state,
    custom_classes,
    revive,
)
from paoding.graph.keras_internals.compiling import call_in_one
from paoding.graph.keras_internals.opening import (
    all_weights,
    flatten,
    functional_of,
    inner_layers,
    is_container,
    names_of,
    pack,
    require_graph,
)
from paoding.graph.keras_internals.refusals import (
    on_tensorflow,
    require_free_batch,
    require_kept_ties,
    require_loadable,
    require_plain,
    require_tensorflow,
)

__all__ = [
    "all_weights",
    "allow_export",
    "answers",
    "ask",
    "call",
    "call_in_one",
    "call_to_learn",
    "clone",
    "config_of",
    "copy_compilation",
    "copy_own_state",
    "custom_classes",
    "flatten",
    "functional_of",
    "inner_layers",
    "is_container",
    "learnable",
    "names_of",
    "on_tensorflow",
    "pack",
    "require_free_batch",
    "require_graph",
    "require_kept_ties",
    "require_loadable",
    "require_plain",
    "require_tensorflow",
    "revive",
    "run",
    "signature_of_one",
]
