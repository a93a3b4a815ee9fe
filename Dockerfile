# syntax=docker/dockerfile:1
# The service, as it runs in production: the locked packages, our code, nothing to build with.
# As everywhere, it listens on loopback unless it is told otherwise, because callers need no key yet. To reach it
# from outside the container, on a network that keeps strangers out:
#
#   docker run -e LIGHTMETER_GRPC_ADDRESS=0.0.0.0:50051 -e LIGHTMETER_HTTP_ADDRESS=0.0.0.0:8080 \
#       -e LIGHTMETER_ALLOW_OPEN=1 -p 127.0.0.1:50051:50051 -p 127.0.0.1:8080:8080 -v lightmeter:/data lightmeter
#
# deploy/compose.yaml has the scaled form.

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
    PYTHONDONTWRITEBYTECODE=1 \
    LIGHTMETER_DATA_DIR=/data
USER lightmeter
WORKDIR /data
VOLUME /data
# gRPC, and the HTTP door (metrics, health, webhooks, pictures of the embedded default).
EXPOSE 50051 8080
# Ready, not merely alive: a draining or waiting replica must get no calls.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
# Draining may take LIGHTMETER_DRAIN_SECONDS (20), which is longer than Docker waits: `docker stop --time 30`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "service"]
