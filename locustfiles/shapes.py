"""How the number of users moves over a run: all shapes read Locust's `--users` and `--run-time`."""

from locust import LoadTestShape

USERS, RUN_TIME_S = 50, 60.0
RAMP_STEPS = 10
SPIKE_REST = 0.1  # the share of the users before and after the spike

Tick = tuple[int, float] | None


class WalletShape(LoadTestShape):
    """Users as a share of `--users`, over the share of `--run-time` that has passed."""

    abstract = True
    use_common_options = True

    def share_of_users(self, share_of_time: float) -> float:
        raise NotImplementedError

    def tick(self) -> Tick:
        """Locust asks once a second: (users, users to start or stop per second), None to end."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        users = options.num_users or USERS if options else USERS
        run_time_s = options.run_time or RUN_TIME_S if options else RUN_TIME_S
        passed = self.get_run_time() / run_time_s  # type: ignore[no-untyped-call]
        if passed >= 1:
            return None
        # Each change happens at once, so that the shape is the one that was drawn.
        return max(1, round(users * self.share_of_users(passed))), float(users)


class SteadyShape(WalletShape):
    """All users all the time."""

    def share_of_users(self, share_of_time: float) -> float:
        return 1.0


class RampShape(WalletShape):
    """Up in equal steps, the last of which is all users."""

    def share_of_users(self, share_of_time: float) -> float:
        return (int(share_of_time * RAMP_STEPS) + 1) / RAMP_STEPS


class SpikeShape(WalletShape):
    """Few users, all of them in the middle third, few again."""

    def share_of_users(self, share_of_time: float) -> float:
        return 1.0 if 1 / 3 <= share_of_time < 2 / 3 else SPIKE_REST
