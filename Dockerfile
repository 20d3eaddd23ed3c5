# syntax=docker/dockerfile:1
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends -y build-essential \
    && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY src src
COPY flows flows
COPY config config
COPY benches benches
# What the program is made of is written into it, where scanners of images read it, and beside it as a bill of materials.
RUN cargo install --locked --root /opt/bill cargo-auditable@0.7.1 cargo-cyclonedx@0.5.9 \
    && PATH="/opt/bill/bin:${PATH}" \
    && cargo auditable build --release --locked --features otlp --bin robocall \
    && cargo cyclonedx --features otlp --format json --spec-version 1.5 --describe binaries

# The engine that speaks, with what it needs besides what the last stage has.
FROM debian:bookworm-slim AS speech
COPY deploy/image/speech.sh /usr/local/bin/
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends -y espeak-ng \
    && rm -rf /var/lib/apt/lists/* \
    && speech.sh /speech

# Neither a shell nor a package manager: the program, its libraries, certificates.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="robocall" \
      org.opencontainers.image.description="Campaign worker for automated phone calls" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/target/release/robocall /usr/local/bin/robocall
COPY --from=build /build/robocall_bin.cdx.json /usr/share/robocall/robocall.cdx.json
COPY --from=speech /speech/ /
COPY flows /usr/share/robocall/flows
USER 65532:65532
EXPOSE 8080 9464
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["robocall", "healthy"]
ENTRYPOINT ["robocall"]
CMD ["demo"]
