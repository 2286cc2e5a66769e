import Basics
import Testing
@testable import Captions

@Suite struct CaptionedPicturesTests {
  private static let all = [
    CaptionedPicture(fileName: "a/ä.png", captions: ["dog", "A dog."], keywords: ["pet", "fur"], split: .train),
    CaptionedPicture(fileName: "곰.png", captions: ["곰"], split: .validation, relation: "made-of"),
    CaptionedPicture(
      fileName: "long", captions: [String(repeating: "x", count: 300)] + (0..<200).map(String.init), split: .test,
      relation: ""),
  ]

  @Test func picturesComeBackAsTheyWere() {
    let pictures = CaptionedPictures(Self.all)
    #expect(Array(pictures) == Self.all)
    #expect(pictures.indices.map(pictures.split) == [.train, .validation, .test])
    #expect(pictures.indices.map(pictures.isComposed) == [false, true, true])
    #expect(pictures.part(at: 0) == nil && !pictures.namesSplit(at: 0))
  }

  @Test func someCanBeTakenAndMoved() {
    let pictures = CaptionedPictures(Self.all)
    #expect(Array(pictures.selecting([2, 0])) == [Self.all[2], Self.all[0]])
    #expect(Set(pictures.moved(to: .train).map(\.split)) == [.train])
    #expect(pictures.moved(to: .train).map(\.captions) == Self.all.map(\.captions))
    #expect(pictures.selecting([0, 1, 2]).fingerprint == pictures.fingerprint)
    #expect(pictures.moved(to: .train).fingerprint != pictures.fingerprint)
  }

  @Test func partsOfShardsStayWithTheirPictures() {
    var (first, second) = (CaptionedPictures.Builder(), CaptionedPictures.Builder())
    first.append(Self.all[0], part: .init(shard: 0, range: 5..<9))
    second.append(Self.all[1], namesSplit: true, part: .init(shard: 1, range: 1 << 40..<1 << 41))
    var both = CaptionedPictures.Builder(shards: ["a.tar", "b.tar"])
    both.append(first)
    both.append(second)
    both.move(0, to: .test, isNamed: true)
    let pictures = both.finish()
    #expect(pictures.shards == ["a.tar", "b.tar"])
    #expect(pictures.part(at: 1) == .init(shard: 1, range: 1 << 40..<1 << 41))
    #expect(pictures.indices.map(pictures.namesSplit) == [true, true])
    #expect(pictures[0].split == .test && pictures[1] == Self.all[1])
    #expect(pictures.selecting([1]).part(at: 0) == pictures.part(at: 1))
  }

  /// FNV-1a over each part and a zero, as checkpoints keep it.
  @Test func theFingerprintIsThatOfCheckpoints() {
    var hash = FNV1a()
    for picture in Self.all {
      for part in [picture.fileName, picture.split.rawValue] + picture.allCaptions {
        hash.combine(Array(part.utf8) + [0])
      }
      hash.combine([10])
    }
    #expect(CaptionedPictures(Self.all).fingerprint == hash.hexadecimal)
  }
}
