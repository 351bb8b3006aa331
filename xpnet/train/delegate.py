"""Attributes of the trainer that are stored in its step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from xpnet.train.trainer import Trainer

T = TypeVar("T")


class OfStep(Generic[T]):
    """An attribute that is stored in the trainer's step; it may be changed between two calls of ``fit``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, trainer: None, owner: type) -> OfStep[T]: ...
    @overload
    def __get__(self, trainer: Trainer, owner: type) -> T: ...
    def __get__(self, trainer: Trainer | None, owner: type) -> Any:
        return self if trainer is None else getattr(trainer.step, self._name)

    def __set__(self, trainer: Trainer, value: T) -> None:
        setattr(trainer.step, self._name, value)
