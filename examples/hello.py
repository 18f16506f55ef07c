"""A first flow: greets three people, each in a task of its own, and counts the letters.

Start the server, then run it against that server:

    PREFECT_API_URL=http://127.0.0.1:4200/api python examples/hello.py
"""

from prefect import flow, get_run_logger, task


@task
def greet(name: str) -> str:
    """Returns a greeting, and logs it."""
    greeting = f"Hello, {name}!"
    get_run_logger().info(greeting)
    return greeting


@task
def count_letters(greetings: list[str]) -> int:
    """Returns how many letters all the greetings have together."""
    return sum(letter.isalpha() for greeting in greetings for letter in greeting)


@flow(log_prints=True)
def hello(names: list[str]) -> int:
    """Greets everyone at once, then counts."""
    greetings = greet.map(names).result()
    letters = count_letters(greetings)
    print(f"Greeted {len(names)} people with {letters} letters.")
    return letters


if __name__ == "__main__":
    hello(names=["Ada", "Grace", "Katherine"])
