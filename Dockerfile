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
COPY benches benches
# What the program is made of is written into it, so that scanners of images can read it.
RUN cargo install --locked --root /opt/auditable cargo-auditable@0.7.1 \
    && PATH="/opt/auditable/bin:${PATH}" cargo auditable build --release --locked --bin robocall

# The engine that speaks, with what it needs besides what the last stage has.
FROM debian:bookworm-slim AS speech
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --no-install-recommends -y espeak-ng \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir /speech \
    && ldd /usr/bin/espeak-ng | awk '/=> \//{print $3}' | grep -v -E '/(libc|libm|libgcc_s|libstdc\+\+)\.so' \
        | sed 's|^/lib/|/usr/lib/|' | xargs -I{} cp --parents -L {} /speech \
    && cp --parents -r /usr/bin/espeak-ng /usr/lib/*/espeak-ng-data /speech

# Neither a shell nor a package manager: the program, its libraries, certificates.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="robocall" \
      org.opencontainers.image.description="Campaign worker for automated phone calls" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /build/target/release/robocall /usr/local/bin/robocall
COPY --from=speech /speech/ /
COPY flows /usr/share/robocall/flows
USER 65532:65532
EXPOSE 8080 9464
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["robocall", "healthy"]
ENTRYPOINT ["robocall"]
CMD ["demo"]
