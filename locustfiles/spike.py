"""A crowd in the middle third: `locust -f locustfiles/spike.py --users 50 --run-time 60s`."""

from locustfiles.shapes import SpikeShape
from locustfiles.wallet import AddUser, MixUser, TransferUser, WithdrawUser

__all__ = ["AddUser", "MixUser", "SpikeShape", "TransferUser", "WithdrawUser"]
