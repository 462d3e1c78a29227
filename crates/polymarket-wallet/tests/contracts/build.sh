#!/usr/bin/env bash
# Compiles Venue.sol anew into bytecode.json. Needed only when Venue.sol changes: npm i solc@0.8.37
set -euo pipefail
cd "$(dirname "$0")"
node -e '
const solc = require(require.resolve("solc", { paths: [process.env.SOLC_DIR || process.cwd()] }));
const fs = require("fs");
const input = {
  language: "Solidity",
  sources: { "Venue.sol": { content: fs.readFileSync("Venue.sol", "utf8") } },
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: "paris",
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const error of output.errors || []) {
  if (error.severity === "error") { console.error(error.formattedMessage); process.exit(1); }
}
const code = { compiler: solc.version() };
for (const [name, contract] of Object.entries(output.contracts["Venue.sol"])) {
  if (contract.evm.bytecode.object && name !== "Signature") code[name] = contract.evm.bytecode.object;
}
fs.writeFileSync("bytecode.json", JSON.stringify(code, null, 1) + "\n");
'
