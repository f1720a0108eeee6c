"""Drugs on the shelves and names of people and places. Substances are real; brands, codes and people are made up."""

from __future__ import annotations

from dataclasses import dataclass

REFUSED_DRUG_CODE = "DQG99999999"
"""A drug that the national system does not know: set the simulator to refuse it."""


@dataclass(frozen=True, slots=True)
class Drug:
    name: str
    concentration: str
    unit: str
    route: str
    dosage: str
    price: int
    """VND for one `unit`."""
    registration_number: str
    ratio: int = 1
    """Base units (tablets, millilitres) in one `unit`."""
    most: int = 4
    """The most that a customer takes home, in `unit`."""


_ORAL, _SKIN, _EYE, _NOSE, _INHALED = "Uống", "Dùng ngoài", "Nhỏ mắt", "Xịt mũi", "Hít qua miệng"
_AFTER_MEALS = "Ngày 2 lần, mỗi lần 1 viên, sau bữa ăn sáng và tối"

DRUGS: tuple[Drug, ...] = (
    Drug("Parafen 500 (Paracetamol)", "500 mg", "Viên", _ORAL,
         "Khi sốt trên 38,5°C hoặc đau: 1 viên mỗi 6 giờ, không quá 4 viên một ngày", 900, "VD-21508-24", most=20),
    Drug("Parafen Sủi (Paracetamol)", "500 mg", "Tuýp", _ORAL,
         "Hòa tan 1 viên trong một cốc nước đầy, cách nhau ít nhất 6 giờ", 42_000, "893100214725", 16),
    Drug("Hạ sốt Bé An (Paracetamol)", "150 mg/gói", "Hộp", _ORAL,
         "Trẻ 10–15 kg: 1 gói mỗi 6 giờ khi sốt trên 38,5°C", 36_000, "893100087224", 12),
    Drug("Ibuvina (Ibuprofen)", "400 mg", "Vỉ", _ORAL, _AFTER_MEALS, 18_500, "VD-30117-23", 10),
    Drug("Amoxivin (Amoxicillin trihydrat)", "500 mg", "Viên", _ORAL,
         "Ngày 3 lần, mỗi lần 1 viên, uống đủ 7 ngày kể cả khi đã đỡ", 1_450, "893110332124", most=21),
    Drug("Clavumed 625 (Amoxicillin + Acid clavulanic)", "500 mg + 125 mg", "Viên", _ORAL,
         "Ngày 2 lần, mỗi lần 1 viên, ngay đầu bữa ăn", 9_800, "893110156925", most=14),
    Drug("Zithrolan (Azithromycin)", "500 mg", "Hộp", _ORAL,
         "Ngày 1 viên, uống 3 ngày liền, trước ăn 1 giờ", 78_000, "VD-27841-23", 3, 2),
    Drug("Cefuxim (Cefuroxim axetil)", "500 mg", "Viên", _ORAL, _AFTER_MEALS, 7_600, "893110408824", most=14),
    Drug("Omeprasan (Omeprazol)", "20 mg", "Vỉ", _ORAL,
         "Ngày 1 viên, trước bữa sáng 30 phút, nuốt nguyên viên", 16_000, "VD-25963-22", 7),
    Drug("Esolan 40 (Esomeprazol)", "40 mg", "Hộp", _ORAL,
         "Ngày 1 viên, trước bữa sáng 30 phút, trong 4 tuần", 165_000, "VN-22719-24", 28, 2),
    Drug("Dạ dày Phú Sơn (Aluminium hydroxyd + Magnesium hydroxyd)", "800 mg + 800 mg/15 ml", "Gói", _ORAL,
         "Khi đau: 1 gói, cách bữa ăn 1–2 giờ, không quá 4 gói một ngày", 4_200, "893100512425", most=20),
    Drug("Smectavin (Diosmectit)", "3 g", "Gói", _ORAL,
         "Ngày 3 gói, pha với nửa cốc nước, xa các thuốc khác 2 giờ", 3_800, "VD-31450-24", most=15),
    Drug("Oresol Cam", "4,1 g/gói", "Gói", _ORAL,
         "Pha đúng 1 gói với 200 ml nước đun sôi để nguội, uống từng ngụm trong ngày", 2_500, "VD-19874-23", most=20),
    Drug("Men vi sinh Bảo Nhi (Bacillus clausii)", "2 tỷ bào tử/5 ml", "Ống", _ORAL,
         "Ngày 2 ống, uống sau ăn, xa kháng sinh 2 giờ", 7_300, "893400061724", most=20),
    Drug("Loratavin (Loratadin)", "10 mg", "Vỉ", _ORAL, "Ngày 1 viên vào buổi tối", 12_000, "VD-24418-22", 10),
    Drug("Cetirin (Cetirizin dihydroclorid)", "10 mg", "Vỉ", _ORAL,
         "Ngày 1 viên buổi tối; có thể gây buồn ngủ, không lái xe", 9_500, "893100275624", 10),
    Drug("Fexonas 180 (Fexofenadin hydroclorid)", "180 mg", "Vỉ", _ORAL,
         "Ngày 1 viên, không uống cùng nước hoa quả", 34_000, "893100344925", 10),
    Drug("Siro ho Lá Thường Xuân", "7 mg/ml", "Chai", _ORAL,
         "Người lớn 5 ml, trẻ trên 6 tuổi 2,5 ml, ngày 3 lần; lắc kỹ trước khi dùng", 68_000, "VD-33206-24", 100, 2),
    Drug("Ambrolan (Ambroxol hydroclorid)", "30 mg", "Vỉ", _ORAL, _AFTER_MEALS, 15_500, "VD-28635-23", 10),
    Drug("Acemucin 200 (Acetylcystein)", "200 mg", "Gói", _ORAL,
         "Ngày 3 gói, hòa tan trong nước, uống sau ăn", 2_100, "893100190524", most=20),
    Drug("Amlovas 5 (Amlodipin besilat)", "5 mg", "Vỉ", _ORAL,
         "Ngày 1 viên, cùng một giờ mỗi sáng, không tự ý ngưng", 11_000, "VD-26702-23", 10, 6),
    Drug("Losatan 50 (Losartan kali)", "50 mg", "Vỉ", _ORAL, "Ngày 1 viên buổi sáng", 19_000, "893110227824", 10, 6),
    Drug("Bisocor (Bisoprolol fumarat)", "2,5 mg", "Vỉ", _ORAL,
         "Ngày 1 viên buổi sáng, không nhai", 14_500, "893110468225", 10, 6),
    Drug("Atorlip 20 (Atorvastatin calci)", "20 mg", "Vỉ", _ORAL, "Ngày 1 viên buổi tối", 22_000, "VD-29954-24", 10, 6),
    Drug("Metforal 850 (Metformin hydroclorid)", "850 mg", "Vỉ", _ORAL,
         "Ngày 2 lần, mỗi lần 1 viên, trong bữa ăn", 13_500, "VD-27390-22", 10, 9),
    Drug("Gliclavin MR (Gliclazid)", "30 mg", "Vỉ", _ORAL,
         "Ngày 1 viên ngay trước bữa sáng, nuốt nguyên viên", 24_500, "893110119324", 15, 4),
    Drug("Levothyrin (Levothyroxin natri)", "50 µg", "Hộp", _ORAL,
         "Ngày 1 viên lúc đói, trước bữa sáng 30–60 phút", 89_000, "VN-23105-25", 50, 2),
    Drug("Vitamin C Hoa Mai (Acid ascorbic)", "500 mg", "Lọ", _ORAL, "Ngày 1 viên sau bữa sáng", 28_000,
         "VD-22871-23", 100, 2),
    Drug("Canxi D3 Nhật Minh (Calci carbonat + Vitamin D3)", "1250 mg + 400 IU", "Lọ", _ORAL,
         "Ngày 1 viên sau bữa trưa, uống nhiều nước", 115_000, "893100380224", 60, 2),
    Drug("Sắt Hồng Ngọc (Sắt fumarat + Acid folic)", "200 mg + 1 mg", "Hộp", _ORAL,
         "Ngày 1 viên trước bữa ăn 1 giờ; không uống với trà, sữa", 54_000, "VD-30788-24", 30, 2),
    Drug("Betametha (Betamethason dipropionat)", "0,064 %", "Tuýp", _SKIN,
         "Bôi một lớp mỏng lên vùng da bệnh, ngày 2 lần, không quá 2 tuần", 27_500, "893110254624", 15, 2),
    Drug("Nấm da Thiên Ân (Clotrimazol)", "1 %", "Tuýp", _SKIN,
         "Bôi ngày 2 lần, tiếp tục 2 tuần sau khi hết triệu chứng", 19_500, "VD-23667-22", 15, 2),
    Drug("Povidin (Povidon iod)", "10 %", "Chai", _SKIN, "Bôi lên vùng da cần sát khuẩn, ngày 1–2 lần", 21_000,
         "893100032425", 90, 2),
    Drug("Diclogel (Diclofenac natri)", "1 %", "Tuýp", _SKIN,
         "Xoa nhẹ lên chỗ đau, ngày 3 lần, không bôi lên vết thương hở", 39_000, "VD-32019-24", 20, 2),
    Drug("Natri clorid 0,9 %", "0,9 %", "Lọ", _EYE, "Mỗi mắt 1–2 giọt, ngày 3–5 lần; dùng trong 15 ngày sau khi mở",
         3_500, "VD-20046-23", 10, 6),
    Drug("Tobravin (Tobramycin)", "0,3 %", "Lọ", _EYE, "Mỗi mắt 1 giọt, 4 giờ một lần, trong 7 ngày", 31_000,
         "893110176724", 5, 2),
    Drug("Nước mắt Ngọc Lan (Natri hyaluronat)", "0,18 %", "Hộp", _EYE, "Mỗi mắt 1 giọt khi khô mắt", 96_000,
         "VN-22893-24", 10, 2),
    Drug("Xylobalan (Xylometazolin hydroclorid)", "0,1 %", "Lọ", _NOSE,
         "Mỗi bên mũi 1 nhát xịt, ngày 2–3 lần, không quá 5 ngày", 33_000, "893100298325", 10, 2),
    Drug("Fluticaz (Fluticason propionat)", "50 µg/liều", "Lọ", _NOSE, "Mỗi bên mũi 2 nhát xịt vào buổi sáng", 148_000,
         "VN-21977-23", 120, 1),
    Drug("Salbuvent (Salbutamol sulfat)", "100 µg/liều", "Bình", _INHALED,
         "Khi khó thở: 1–2 nhát hít, cách nhau 1 phút; không quá 8 nhát một ngày. Súc miệng sau khi hít. Nếu không đỡ "
         "sau 10 phút thì đến ngay cơ sở y tế gần nhất", 99_000, "VN-23340-25", 200, 1),
)  # fmt: skip

FAMILY_NAMES = (
    "Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương",
    "Lý", "Đinh", "Trương", "Lương", "Mai",
)  # fmt: skip
WOMEN = (
    ("Thị", "Thị Thu", "Thị Ngọc", "Ngọc", "Thanh", "Phương", "Thùy", "Kim", "Mỹ", "Bích"),
    ("Hương", "Ánh", "Thảo", "Hằng", "Yến", "Tuyết", "Nguyệt", "Hạnh", "Trâm", "Vy", "Ngân", "Diễm", "Loan", "Hòa"),
)
MEN = (
    ("Văn", "Đức", "Hữu", "Quốc", "Minh", "Công", "Thế", "Quang", "Đình", "Xuân"),
    ("Hùng", "Dũng", "Tuấn", "Phúc", "Khôi", "Nghĩa", "Thịnh", "Đạt", "Sơn", "Lộc", "Hiếu", "Trường", "Bảo", "Vượng"),
)
SUPPLIERS = (
    "Công ty Cổ phần Dược phẩm Minh Phát", "Công ty TNHH Thương mại Dược Hòa Bình", "Chi nhánh Dược Trung ương 7",
    "Công ty Cổ phần Thiết bị Y tế Đông Á",
)  # fmt: skip
COMPANIES = (
    "Công ty Trách nhiệm hữu hạn Thương mại và Dịch vụ Y tế",
    "Trung tâm Chăm sóc và Phục hồi chức năng Người cao tuổi",
)
"""Customers whose full names do not fit into 50 characters."""

PROVINCES = (("79", "Quận 3"), ("01", "Cầu Giấy"), ("48", "Hải Châu"), ("92", "Ninh Kiều"), ("79", "Thủ Đức"),
             ("31", "Lê Chân"), ("46", "Phú Hội"), ("75", "Biên Hòa"))  # fmt: skip
"""Code of the province, and a place in it."""
PHARMACIES = ("An Khang Phúc", "Minh Châu", "Thiện Tâm", "Đức Hạnh", "Hồng Phúc", "Bình An", "Tâm Đức", "Ngọc Diệp",
              "Phước Lộc", "Kim Liên", "Trường Thọ")  # fmt: skip
