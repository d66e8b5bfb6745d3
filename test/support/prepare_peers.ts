// Builds and fetches every peer ahead of the end-to-end tests. usage: prepare_peers.ts
import { dex2451Binary, dexBinary, keycloakHome } from './peers.ts'

for (const make of [dexBinary, dex2451Binary, keycloakHome]) console.log(await make())
