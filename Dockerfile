# One image for code server, webserver, daemon, runs, jobs and the scoring service: the command selects. See .deploy/README.md.
#
# The base image is a required argument, with its digest: a Debian image with Python, such as python:3.11-slim@sha256:...
ARG BASE_IMAGE

FROM ${BASE_IMAGE} AS build
ARG BASE_IMAGE
RUN case "${BASE_IMAGE}" in *@sha256:*) ;; *) echo "BASE_IMAGE has no digest: --build-arg BASE_IMAGE=NAME:TAG@sha256:DIGEST" >&2; exit 1 ;; esac
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Each package is compared with its hash. Wheels only: no package runs code of its own here.
COPY requirements.lock ./
RUN pip download --require-hashes --only-binary :all: --dest wheels --requirement requirements.lock

# Of these packages, those that the project needs without its development tools.
COPY pyproject.toml README.md LICENSE ./
COPY risk_assets risk_assets
COPY risk_serving risk_serving
RUN python -m venv /app/venv \
 && pip wheel --no-index --find-links wheels --no-deps --wheel-dir wheels . \
 && /app/venv/bin/pip install --no-index --find-links wheels 'risk-lakehouse[deploy,keyvault,telemetry]'

FROM ${BASE_IMAGE}
ENV PATH=/app/venv/bin:$PATH PYTHONUNBUFFERED=1 DAGSTER_HOME=/app/dagster
RUN useradd --uid 10001 --user-group --no-log-init --create-home risk && install -d -o risk -g risk /app/dagster
WORKDIR /app
COPY --from=build /app/venv venv
COPY --chown=risk:risk .deploy .deploy
COPY data/contract.yml data/policy.yml data/
USER 10001:10001
EXPOSE 3000 4000 8000
HEALTHCHECK --interval=60s --timeout=30s --start-period=120s --retries=3 CMD ["python", ".deploy/health.py"]
CMD ["risk", "--help"]
