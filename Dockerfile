# syntax=docker/dockerfile:1
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY src src
COPY flows flows
COPY benches benches
RUN cargo build --release --locked --bin robocall

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home robocall
COPY --from=build /build/target/release/robocall /usr/local/bin/robocall
COPY flows /usr/share/robocall/flows
USER 10001
ENTRYPOINT ["robocall"]
CMD ["demo"]
