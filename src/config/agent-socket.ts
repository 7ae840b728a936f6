// Where a machine's own agent is found when nobody says where. By itself, so that whoever looks there loads nothing else.
export const AGENT_SOCKET = "/run/podwire/agent.sock";
