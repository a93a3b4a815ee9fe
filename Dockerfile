# syntax=docker/dockerfile:1
# The service, as it runs in production: the locked packages, our code, nothing to build with.
# The defaults store everything in /data; see deploy/compose.yaml for the scaled form.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/lightmeter
ENV PATH=/opt/lightmeter/bin:$PATH
WORKDIR /src
# The lock first: code changes every day, the packages don't.
COPY requirements/run.txt requirements/run.txt
RUN pip install --require-hashes --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md ./
COPY clients/python clients/python
COPY service service
COPY sandbox sandbox
RUN pip install --no-deps ./clients/python .

FROM python:3.11-slim
COPY --from=build /opt/lightmeter /opt/lightmeter
RUN useradd --system --uid 10001 --home-dir /data --create-home lightmeter
ENV PATH=/opt/lightmeter/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER lightmeter
WORKDIR /data
VOLUME /data
# gRPC, and the HTTP door (metrics, health, webhooks, pictures of the embedded default).
EXPOSE 50051 8080
# Ready, not merely alive: a draining or waiting replica must get no calls.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
# The drain takes longer than Docker's ten seconds: stop with `docker stop --time 60`, as compose.yaml does.
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "service"]
