import Testing

@testable import CommandSupport

struct NearestNameTests {
  @Test(arguments: [
    ("", "", 0), ("generate", "generate", 0), ("generat", "generate", 1), ("trian", "train", 1),
    ("kitten", "sitting", 3),
    ("abc", "", 3), ("ab", "ba", 1), ("ca", "abc", 3),
  ])
  func distances(_ a: String, _ b: String, _ distance: Int) {
    #expect(a.editDistance(to: b) == distance && b.editDistance(to: a) == distance)
  }

  @Test func onlyWhatIsLikeANameIsTakenForIt() {
    let names = ["train-prior", "train-ranker", "generate"]
    #expect(names.nearest(to: "train-pror") == "train-prior")
    #expect(names.nearest(to: "train_ranker") == "train-ranker")
    #expect(names.nearest(to: "draw") == nil && [String]().nearest(to: "draw") == nil)
  }
}
