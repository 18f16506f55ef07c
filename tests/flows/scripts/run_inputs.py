"""A flow that sends input to itself, and receives exactly that."""

import json

from prefect import flow
from prefect.input import RunInput, receive_input, send_input
from prefect.runtime import flow_run


class Greeting(RunInput):
    """What one run says to another."""

    name: str
    times: int = 1


@flow
def talks_to_itself() -> dict[str, object]:
    own_id = flow_run.id
    for text in ("first", "second"):
        send_input(text, flow_run_id=own_id)
    Greeting(name="Ada", times=3).send_to(flow_run_id=own_id)
    received = list(receive_input(str, timeout=2, poll_interval=0.2))
    greeting = Greeting.receive(timeout=10, poll_interval=0.2).next()
    return {"texts": received, "greeting": greeting.model_dump(exclude={"metadata"})}


if __name__ == "__main__":
    state = talks_to_itself(return_state=True)
    run_id = str(state.state_details.flow_run_id)
    print(json.dumps({"flow_run_id": run_id, **state.result()}, default=str))
