declare module "pcap-parser" {
  /** The part of a readable stream that the parser uses. */
  interface PacketSource {
    pause(): unknown;
    resume(): unknown;
    on(event: "data", listener: (chunk: Buffer) => void): unknown;
    on(event: "error", listener: (error: Error) => void): unknown;
    on(event: "end", listener: () => void): unknown;
  }
  interface GlobalHeader {
    magicNumber: number;
    majorVersion: number;
    minorVersion: number;
    gmtOffset: number;
    timestampAccuracy: number;
    snapshotLength: number;
    linkLayerType: number;
  }
  interface PacketHeader {
    timestampSeconds: number;
    timestampMicroseconds: number;
    capturedLength: number;
    originalLength: number;
  }
  interface Parser {
    on(event: "globalHeader", listener: (header: GlobalHeader) => void): this;
    on(event: "packetHeader", listener: (header: PacketHeader) => void): this;
    on(event: "packetData", listener: (data: Buffer) => void): this;
    on(event: "packet", listener: (packet: { header: PacketHeader; data: Buffer }) => void): this;
    on(event: "error", listener: (error: Error) => void): this;
    on(event: "end", listener: () => void): this;
  }
  const pcapParser: { parse(input: string | PacketSource): Parser };
  export default pcapParser;
}
