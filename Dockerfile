# deployer in an image: docker build --tag deployer .
# For a build that never changes, name the base by its digest: --build-arg PYTHON=python:3.12-slim@sha256:...
ARG PYTHON=python:3.12-slim

FROM ${PYTHON} AS build
WORKDIR /source
COPY requirements/build.txt requirements/
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY deployer deployer
COPY schemas schemas
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels .

FROM ${PYTHON}
# `state: git` runs git.
RUN --mount=type=tmpfs,target=/var/lib/apt/lists apt-get update && apt-get install --yes --no-install-recommends git
WORKDIR /install
COPY requirements/install.txt ./
RUN python -m pip install --no-cache-dir --only-binary :all: --require-hashes -r install.txt
COPY --from=build /source/wheels wheels
RUN python -m pip install --no-cache-dir --no-index --no-deps wheels/*.whl
# The repository is mounted at /work, and may belong to another user than the one in the image.
RUN git config --system --add safe.directory /work && useradd --uid 10001 --create-home deployer
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["deployer"]
CMD ["--help"]
