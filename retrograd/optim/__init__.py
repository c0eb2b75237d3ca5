"""Optimizers, and the bases to write others on."""

from retrograd.optim import lr_scheduler as lr_scheduler
from retrograd.optim import swa_utils as swa_utils
from retrograd.optim.adadelta import Adadelta
from retrograd.optim.adafactor import Adafactor
from retrograd.optim.adagrad import Adagrad
from retrograd.optim.adam import Adam, AdamW
from retrograd.optim.adamax import Adamax
from retrograd.optim.asgd import ASGD
from retrograd.optim.elementwise import ElementwiseOptimizer
from retrograd.optim.lamb import LAMB
from retrograd.optim.lbfgs import LBFGS
from retrograd.optim.muon import Muon
from retrograd.optim.nadam import NAdam
from retrograd.optim.newton import Newton
from retrograd.optim.optimizer import Optimizer
from retrograd.optim.radam import RAdam
from retrograd.optim.rmsprop import RMSprop
from retrograd.optim.rprop import Rprop
from retrograd.optim.sgd import SGD
from retrograd.optim.tensorwise import TensorwiseOptimizer

__all__ = [
    "ASGD",
    "LAMB",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ElementwiseOptimizer",
    "Muon",
    "NAdam",
    "Newton",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "TensorwiseOptimizer",
    "lr_scheduler",
    "swa_utils",
]
