# One image for every role: `docker run redkeep:latest server`, `… sentinel /data/sentinel.conf`.
FROM rust:1-trixie AS build
WORKDIR /source
COPY . .
# The image's own toolchain is the stable one that rust-toolchain.toml asks for; no second one is fetched.
RUN RUSTUP_TOOLCHAIN=$RUST_VERSION cargo build --release --locked -p redkeep --features jemalloc

FROM debian:trixie-slim
COPY --from=build /source/target/release/redkeep /usr/local/bin/redkeep
RUN useradd --system --home-dir /data --create-home redkeep
USER redkeep
WORKDIR /data
VOLUME /data
EXPOSE 6379 26379
ENTRYPOINT ["redkeep"]
CMD ["server", "--bind", "0.0.0.0", "--protected-mode", "no"]
