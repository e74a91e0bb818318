"""The state of an estimator around a net: no torch object is pickled, only arrays of weights."""

from sklearn_ext.neural_network._history_text import history_of, history_text

__all__ = ["NetState"]


class NetState:
    """Storing, loading and copying of a net that ``_build_module`` and ``_build_loss`` can remake.

    An adapted one also needs `_adaptation`, what :class:`LoRAAdapter` adapted it by.
    """

    def _live_net(self):
        """The net, or the copy that a callback looks at."""
        frozen = self.__dict__.get("_frozen_net")
        return self.net_ if frozen is None else self._rebuilt_net(frozen)

    def _rebuilt_net(self, arrays):
        """Make the net of stored arrays, on the device that the parameters ask for."""
        import torch

        from sklearn_ext._torch.device import resolve_device
        from sklearn_ext._torch.parameters import load_arrays, take_dtypes
        from sklearn_ext._torch.random import make_generator
        from sklearn_ext.neural_network._net import wrapped_module

        device = resolve_device(self.device) if self.device == "auto" else torch.device("cpu")
        with torch.inference_mode(False):  # a net that is made inside can never be trained
            module = self._build_module(make_generator(0))
            if self._adaptation is not None:  # as the base was when it was adapted
                take_dtypes(module, arrays, "base.")
                module = self._adapted_module(module, make_generator(0))
            load_arrays(module, arrays)
        return wrapped_module(module.train(False), self._build_loss(), device)

    def _adapted_module(self, module, generator):
        """Put the low-rank changes of an adapted net around a plain one."""
        if self._adaptation is None:
            return module
        from sklearn_ext._torch.lora import LoRAModule
        from sklearn_ext._torch.low_rank import LoRASettings

        return LoRAModule(module, LoRASettings(**self._adaptation), generator)

    def _plain_module(self):
        """Give the net without anything around it, its weights changed where it is adapted."""
        from sklearn_ext._torch.parameters import uncompiled

        module = uncompiled(self.net_.module_)
        return module if self._adaptation is None else module.merged_copy().train(False)

    def _snapshot(self):
        """Attributes of an estimator that stopped now."""
        from sklearn_ext._torch.parameters import module_arrays

        return {"_frozen_net": module_arrays(self.net_.module_)}

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "net_" in state:
            from sklearn_ext._torch.parameters import module_arrays

            state["_net_arrays_"] = module_arrays(self.net_.module_)
            state["_of_training"] = self._training_state()
            del state["net_"]
        return state

    def __setstate__(self, state):
        state = dict(state)
        arrays, of_training = state.pop("_net_arrays_", None), state.pop("_of_training", None)
        super().__setstate__(state)
        if arrays is not None:
            self.net_ = self._rebuilt_net(arrays)
            self._go_on_from(of_training)

    def _training_state(self):
        """What training that goes on depends on besides weights and attributes, as plain values."""
        from sklearn_ext._torch.optimizer_arrays import optimizer_arrays
        from sklearn_ext._torch.parameters import named_parameters

        module, optimizer = self.net_.module_, self.net_.optimizer_
        named = named_parameters(module).items()
        return {
            "history": history_text(self.net_.history),
            "optimizer": optimizer_arrays(optimizer, module) if self._keeps_moments() else None,
            # Callbacks may have frozen some for good.
            "frozen": [name for name, parameter in named if not parameter.requires_grad],
        }

    def _go_on_from(self, state):
        """Give a net that was made anew what `_training_state` gave of the one before."""
        import torch

        from sklearn_ext._torch.optimizer_arrays import optimizer_of

        module, self.net_.history_ = self.net_.module_, history_of(state["history"])
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in state["frozen"])
        if state["optimizer"] is not None:
            with torch.inference_mode(False):
                self.net_.optimizer_ = optimizer_of(state["optimizer"], module)
