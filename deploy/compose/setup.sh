# Makes what is missing in /keys, and hands it and the volumes to the user of the containers. Run it as often as
# you like: what is there is kept.
umask 077
chorus keys /keys --hosts nats,localhost
for name in minio_root grafana; do
  [ -s "/keys/$name" ] || python -c "import secrets; print(secrets.token_urlsafe(30), end='')" > "/keys/$name"
done
for name in discord_token openai_key; do # of others: one who has none needs none
  [ -e "/keys/$name" ] || : > "/keys/$name"
done
chown -R 10001:10001 /keys /data
chmod 755 /keys       # compose itself reads nats.env, which holds public keys
chmod 644 /keys/nats.env
