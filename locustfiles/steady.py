"""All users all the time: `locust -f locustfiles/steady.py --users 50 --run-time 60s`."""

from locustfiles.shapes import SteadyShape
from locustfiles.wallet import AddUser, MixUser, TransferUser, WithdrawUser

__all__ = ["AddUser", "MixUser", "SteadyShape", "TransferUser", "WithdrawUser"]
