#!/bin/bash
# What does not succeed here leaves a machine that is not well, which is replaced.
set -euo pipefail
export AWS_DEFAULT_REGION=${AWS::Region}
cd "$(mktemp -d)"
aws lambda get-layer-version-by-arn --arn '${Binary}' --query 'Content.[Location,CodeSha256]' --output text >found
read -r url sum <found
curl --fail --silent --show-error --retry 5 --output relay.zip "$url"
[ "$(openssl dgst -sha256 -binary relay.zip | base64)" = "$sum" ]
python3 -m zipfile -e relay.zip .
install -D -m 755 bootstrap /opt/proctor/relay
cat >/etc/systemd/system/proctor-relay.service <<'UNIT'
[Unit]
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0
[Service]
ExecStart=/opt/proctor/relay
Environment=AWS_REGION=${AWS::Region}
Environment=PROCTOR_RELAY_FUNCTIONS=proctor-${Stage}-
Environment=PROCTOR_RELAY_SECRET=${RelaySecret}
Environment=PROCTOR_RELAY_CONNECTIONS=${RelayConnections}
DynamicUser=yes
Restart=always
RestartSec=1
TimeoutStopSec=30
LimitNOFILE=65536
MemoryMax=75%
CapabilityBoundingSet=
NoNewPrivileges=yes
PrivateDevices=yes
ProtectHome=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6
SystemCallArchitectures=native
StandardOutput=journal+console
StandardError=journal+console
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now proctor-relay
