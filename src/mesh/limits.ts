// What a proxy may take, and how long it waits.

export interface MeshLimits {
  /** Connections of pods at once, and of other proxies. */
  readonly connections: number;
  readonly sessions: number;
  /** At once on one connection of another proxy. */
  readonly streams: number;
  /** For a handshake; and until an endpoint or another proxy is reached. */
  readonly helloSec: number;
  readonly connectSec: number;
  /** A connection on which nothing goes by for so long is ended. */
  readonly idleSec: number;
}

export const MESH_LIMITS: MeshLimits = {
  ...{ connections: 10_000, sessions: 1000, streams: 256 },
  ...{ helloSec: 10, connectSec: 10, idleSec: 3600 },
};
