#!/usr/bin/env bash
# Makes the file system of the lab's pods: Debian or Ubuntu as on this machine, with all that a node's set-up
# and SkyPilot's would fetch from the internet. Runs as root, in a mount namespace of its own.
#
#   image.sh ROOTFS SUITE MIRROR COMPONENTS UV UV_CACHE REQUIREMENTS MODELS SKYPILOT
#     COMPONENTS    of the mirror, with commas
#     REQUIREMENTS  the packages of Dynamo's environment, with hashes
#     MODELS        the hub's cache with the tokenizer
#     SKYPILOT      its version
set -euo pipefail

root="$1" suite="$2" mirror="$3" components="$4" uv="$5" uv_cache="$6" requirements="$7" models="$8" skypilot="$9"

# The second line is what SkyPilot's own set-up of a pod installs, the third the services of a deployment.
packages=(
  bash ca-certificates python3 python3-pip python3-venv
  curl fuse3 gcc git iproute2 iputils-ping jq lsof nano netcat-openbsd openssh-client openssh-server patch pciutils procps psmisc rsync sudo util-linux wget
  etcd-server nats-server nginx openssl
)
debootstrap --variant=minbase --components="$components" \
  --include="$(IFS=,; echo "${packages[*]}")" "$suite" "$root" "$mirror"

cp -L /etc/resolv.conf "$root/etc/resolv.conf"
# This machine's authorities: its way to the package index may have one of its own.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root/root/.local/bin" "$root/root/.cache/huggingface" "$root/uv-cache"
cp -L "$uv" "$root/root/.local/bin/uv"
cp -rL "$models" "$root/root/.cache/huggingface/hub"
cp "$requirements" "$root/requirements.txt"
mount --bind "$uv_cache" "$root/uv-cache"
mount -t proc proc "$root/proc"

in_image() {
  chroot "$root" env -i HOME=/root PATH=/root/.local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt UV_CACHE_DIR=/uv-cache UV_LINK_MODE=copy \
    ${UV_DEFAULT_INDEX:+UV_DEFAULT_INDEX="$UV_DEFAULT_INDEX"} \
    ${HTTPS_PROXY:+HTTPS_PROXY="$HTTPS_PROXY" HTTP_PROXY="$HTTPS_PROXY"} "$@"
}
in_image uv venv --quiet --python /usr/bin/python3 /opt/dynamo
in_image uv pip install --quiet --python /opt/dynamo/bin/python --no-deps --require-hashes -r /requirements.txt
# As SkyPilot makes it in a pod (`sky/skylet/constants.py`, `sky/templates/kubernetes-ray.yml.j2`), which
# finds it done.
in_image uv venv --quiet --seed --python /usr/bin/python3 /root/skypilot-runtime
in_image uv pip install --quiet --python /root/skypilot-runtime/bin/python \
  'setuptools<70' 'click<8.3.0' 'ray[default]==2.9.3' "skypilot[kubernetes,remote]==$skypilot"

umount "$root/proc" "$root/uv-cache"
rmdir "$root/uv-cache"
rm -rf "$root/requirements.txt" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
