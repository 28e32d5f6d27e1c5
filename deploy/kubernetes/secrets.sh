#!/bin/sh
# Prints the secrets that Chorus and NATS need, made of a folder that `chorus keys` has filled:
#
#   deploy/kubernetes/secrets.sh keys | kubectl apply -f -
#
# The folder's file `discord_token`, if there is one, is the bot's; `openai_key` is that of an engine elsewhere. Where
# the store has chosen the access keys itself, `<user>.access` holds each. Who backs up does so from outside with the
# folder itself, and the store has a secret of its own (docs/deploying.md).
set -eu
keys=$1

make() { # kind and name, then what is in it
  kubectl create --namespace chorus --dry-run=client --output yaml "$@"
  echo ---
}

for user in gateway trainer inference speech provisioner; do
  access=$user
  [ ! -e "$keys/$user.access" ] || access=$(cat "$keys/$user.access")
  set -- --from-file=nkey="$keys/$user.nk" --from-file=chorus_s3_secret_key="$keys/$user.s3"
  if [ $user = gateway ] && [ -s "$keys/discord_token" ]; then
    set -- "$@" --from-file=chorus_discord_token="$keys/discord_token"
  fi
  if [ $user = inference ] && [ -s "$keys/openai_key" ]; then
    set -- "$@" --from-file=chorus_openai_key="$keys/openai_key"
  fi
  make secret generic "chorus-$user" --from-literal=chorus_s3_access_key="$access" "$@"
done
make configmap nats-ca --from-file=ca.crt="$keys/ca.crt"
make secret tls nats-tls --cert="$keys/nats.crt" --key="$keys/nats.key"
make secret generic nats-users --from-env-file="$keys/nats.env"
make secret generic nats-operator --from-file=nats.nk="$keys/operator.nk"
