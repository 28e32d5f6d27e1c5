# Tells MinIO each service's user and what it may do. Again after an upgrade: it is brought up to date.
mc --quiet alias set store http://minio:8333 root "$(cat /run/secrets/minio_root)"
for policy in /policies/*.json; do
  user=$(basename "$policy" .json)
  mc admin policy create store "chorus-$user" "$policy"
  mc admin user add store "$user" < "/run/secrets/$user.s3"
  mc admin policy attach store "chorus-$user" --user "$user" || mc admin user info store "$user"
done
